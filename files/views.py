import re
from typing import Any
from uuid import UUID

from csp.constants import NONE
from csp.decorators import csp
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.authentication import caller_of, signed_in_user
from common.errors import DomainError
from files import links, selectors
from files.models import File
from files.services import direct, store, uploads

_IMMUTABLE = "public, max-age=31536000, immutable"
_NOTHING: dict[str, Any] = {"default-src": [NONE], "sandbox": True}
_SHOWN = 200
_ENDING = re.compile(r"(?<=.)\.\w{1,10}$")


@require_safe
@csp(_NOTHING)  # type: ignore[arg-type]
def public_file(request: HttpRequest, key: str) -> HttpResponse:
    """A public picture; what stands under a key never changes."""
    data = store.read_public(key)
    if data is None:
        raise Http404
    response = HttpResponse(data, content_type=store.content_type_of(key))
    response["Cache-Control"] = _IMMUTABLE
    response["Content-Disposition"] = "inline"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@require_safe
@csp(_NOTHING)  # type: ignore[arg-type]
def private_file(request: HttpRequest, token: str) -> HttpResponseBase:
    """A private file for its owner, by a link of the last minutes; only pictures open in the page."""
    user = caller_of(request)
    file_id, part = links.read_token(token, user.id)
    found = File.objects.filter(id=file_id, owner_id=user.id, state=File.State.READY).first()
    content = store.open_private(getattr(found, part)) if found else None
    if found is None or content is None:
        raise Http404
    is_picture = found.content_type == "image/webp"
    response = FileResponse(
        content, as_attachment=not is_picture, filename=_download_name(found), content_type=found.content_type
    )
    response["Cache-Control"] = "private, no-store"
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


@csrf_exempt
@require_POST
def direct_upload(request: HttpRequest, token: str) -> HttpResponse:
    """This machine standing in for an object store: the signed address is the permission."""
    upload = request.FILES.get("file")
    if upload is None:
        return HttpResponse(status=400)
    direct.receive(token=token, data=uploads.read_upload(upload))
    return HttpResponse(status=204)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def storage(request: HttpRequest) -> HttpResponse:
    """What somebody keeps here and how much room it takes; files can be dropped on the page."""
    user_id = signed_in_user(request).id
    if request.method == "POST":
        return _upload(request, user_id)
    report = selectors.storage_report(user_id)
    files = [
        {"file": file, "url": selectors.file_url(file), "thumbnail": selectors.thumbnail_url(file)}
        for file in selectors.list_files(user_id)[:_SHOWN]
    ]
    return render(request, "files/storage.html", {"report": report, "files": files})


@login_required
@require_POST
def file_delete(request: HttpRequest, file_id: UUID) -> HttpResponse:
    try:
        uploads.delete_file(owner_id=signed_in_user(request).id, file_id=file_id)
    except DomainError as error:
        if error.status == 404:
            raise
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("The file is deleted."))
    return redirect("files:storage")


def _download_name(file: File) -> str:
    """The owner's name for the file with the ending of what it is: a text named page.html opens as text."""
    return f"{_ENDING.sub('', file.name)}.{file.key.rpartition('.')[2]}"


def _upload(request: HttpRequest, user_id: UUID) -> HttpResponse:
    faults = []
    for upload in request.FILES.getlist("file"):
        try:
            uploads.upload_file(
                owner_id=user_id,
                category=File.Category.CHAT_ATTACHMENT,
                name=upload.name or "",
                data=uploads.read_upload(upload),
            )
        except DomainError as error:
            faults.append({"name": uploads.clean_name(upload.name or ""), "detail": str(error.detail)})
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"faults": faults}, status=422 if faults else 201)
    for fault in faults:
        messages.error(request, f"{fault['name']}: {fault['detail']}")
    return redirect("files:storage")
