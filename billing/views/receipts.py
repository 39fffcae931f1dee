from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.views.decorators.http import require_safe

from accounts.authentication import caller_of
from billing import receipts
from common.http import user_id
from common.ids import parse_uuid


@require_safe
@login_required
def receipt_list(request: HttpRequest) -> HttpResponse:
    """Everything the person paid, latest first; `?before=` a payment goes on."""
    page = receipts.list_payments(user_id(request), before=parse_uuid(request.GET.get("before")))
    return render(request, "billing/receipt_list.html", {"page": page})


@require_safe
@login_required
def receipt(request: HttpRequest, payment_id: UUID) -> HttpResponse:
    return render(
        request, "billing/receipt.html", {"receipt": receipts.get_receipt(user_id(request), payment_id)}
    )


@require_safe
def receipt_pdf(request: HttpRequest, payment_id: UUID) -> HttpResponseBase:
    """The file, for who paid: the pages' session or an app's bearer token."""
    if "Authorization" not in request.headers and not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    # What draws PDFs takes its time to load, and few ask for one.
    from billing import receipt_pdf as pdf

    caller = caller_of(request)
    found = receipts.get_receipt(caller.pk, payment_id)
    with receipts.as_read_by(caller):
        response = HttpResponse(pdf.render_pdf(found), content_type="application/pdf")
    response["Content-Disposition"] = f'inline; filename="{found.payment.number}.pdf"'
    response["Cache-Control"] = "private, no-store"
    return response
