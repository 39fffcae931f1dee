from contextlib import suppress
from uuid import UUID

from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.login_by_code import LoginCodeVerificationProcess
from allauth.account.internal.flows.reauthentication import resume_request
from allauth.account.utils import get_next_redirect_url
from allauth.core import ratelimit
from allauth.socialaccount.adapter import get_adapter as get_social_adapter
from allauth.socialaccount.providers.base import Provider
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.db import transaction
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import profile, selectors
from accounts.authentication import caller_of, signed_in_user
from accounts.devices import describe_device
from accounts.errors import LastWayIn, TooManyTexts
from accounts.forms import AvatarForm, PhoneForm, ProfileForm
from accounts.places import place_of
from accounts.reauthentication import ReauthenticationProcess
from accounts.services import api_keys, erasures, exports, phone_numbers, profiles, sessions, texts, ways_in
from common.errors import Conflict, DomainError, Invalid, NotFound, RateLimited

# The same in every language, as the page says it.
_CONFIRMATION = "DELETE"


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def phone_entrance(request: HttpRequest) -> HttpResponse:
    """Come in by a number, with an account or without: the steps are the same, so they tell nobody which."""
    if request.user.is_authenticated:
        return redirect(get_next_redirect_url(request) or "/")
    form = PhoneForm(request.POST or None)
    if form.is_valid():
        try:
            _text_code(request, form.cleaned_data["phone"])
        except TooManyTexts as error:
            form.add_error("phone", error.detail)
        else:
            return redirect(_with_next(request, "account_confirm_login_code"))
    context = {"form": form, "can_send": texts.can_send(), "next": get_next_redirect_url(request) or ""}
    return render(request, "accounts/phone_entrance.html", context, status=422 if form.errors else 200)


def _text_code(request: HttpRequest, number: str) -> None:
    with transaction.atomic():
        user = phone_numbers.find_or_begin(number=number)
        LoginCodeVerificationProcess.initiate(request=request, user=user, phone=number)


def _with_next(request: HttpRequest, name: str) -> str:
    url = get_next_redirect_url(request)
    return f"{reverse(name)}?{urlencode({'next': url})}" if url else reverse(name)


@never_cache
@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def reauthenticate_by_code(request: HttpRequest) -> HttpResponse:
    """Step-up for accounts without password: a code is sent, and entering it resumes what was begun."""
    if request.method == "POST" and not ratelimit.consume(
        request, action="reauthenticate", user=request.user
    ):
        raise RateLimited(_("Too many attempts. Wait a little."), retry_after=60)
    process = ReauthenticationProcess.resume(request)
    error = ""
    if request.method == "POST" and "code" in request.POST and process is not None:
        if process.enter(request.POST["code"]):
            return resume_request(request) or redirect("accounts:ways-in")
        error = _("Incorrect code.")
        process = ReauthenticationProcess.resume(request)
    elif request.method == "POST":
        try:
            process = ReauthenticationProcess.begin(request)
        except TooManyTexts as refusal:
            error = str(refusal.detail)
    context = {"process": process, "error": error, "next": get_next_redirect_url(request) or ""}
    return render(request, "accounts/reauthenticate_code.html", context, status=422 if error else 200)


@login_required
@require_safe
def ways_in_list(request: HttpRequest) -> HttpResponse:
    """Every way into the account on one page, with what can be added and taken off."""
    user = signed_in_user(request)
    ways = ways_in.list_ways_in(user)
    linked = [(account, account.get_provider()) for account in selectors.list_provider_accounts(user.id)]
    context = {
        "addresses": selectors.list_addresses(user.id),
        "linked": linked,
        "offered": _offered_providers(request, {provider.id for _account, provider in linked}),
        "factors": selectors.list_factors(user.id),
        "can_send_texts": texts.can_send(),
        "is_only_way": len(ways) == 1,
        "is_proved": ways_in.is_proved(user),
    }
    return render(request, "accounts/ways_in.html", context)


@require_POST
@reauthentication_required(app="allauth.socialaccount")
def provider_disconnect(request: HttpRequest, pk: int) -> HttpResponse:
    try:
        ways_in.disconnect_provider(user=signed_in_user(request), account_id=pk)
    except LastWayIn as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("It is unlinked."))
    return redirect("accounts:ways-in")


@require_POST
@reauthentication_required(app="allauth.account")
def phone_remove(request: HttpRequest) -> HttpResponse:
    try:
        phone_numbers.remove_phone(user=signed_in_user(request))
    except LastWayIn as error:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, _("Your number is taken off."))
    return redirect("accounts:ways-in")


@login_required
@require_safe
def own_data(request: HttpRequest) -> HttpResponse:
    """One's data: fetch all of it, or leave with it."""
    user = signed_in_user(request)
    export = selectors.find_latest_export(user.id)
    context = {
        "export": export,
        "download": exports.sign_url_path(export) if export else None,
        "is_running": export is not None and export.status in ("queued", "running"),
        "erasure": selectors.find_erasure(user.id),
        "days": settings.ACCOUNTS_ERASURE_DAYS,
    }
    is_partial = request.headers.get("HX-Request") == "true"
    return render(request, "accounts/_export.html" if is_partial else "accounts/own_data.html", context)


@login_required
@require_POST
def export_request(request: HttpRequest) -> HttpResponse:
    try:
        exports.request_export(user_id=signed_in_user(request).id)
    except RateLimited as error:
        messages.error(request, str(error.detail))
    return redirect("accounts:own-data")


@require_safe
def export_download(request: HttpRequest, token: str) -> FileResponse:
    """The ZIP, for its owner: the pages' session or an app's bearer token."""
    export, file = exports.open_export(user_id=caller_of(request).id, token=token)
    name = f"parlor-{export.created_at:%Y-%m-%d}.zip"
    response = FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
    response["Cache-Control"] = "private, no-store"
    return response


@require_POST
@reauthentication_required(app="allauth.account")
def erasure_request(request: HttpRequest) -> HttpResponse:
    if request.POST.get("confirmation", "").strip().upper() != _CONFIRMATION:
        messages.error(request, _("Type DELETE to confirm. Nothing was changed."))
        return redirect("accounts:own-data")
    try:
        erasures.request_erasure(
            user_id=signed_in_user(request).id, session_key=request.session.session_key or ""
        )
    except Conflict as error:
        messages.error(request, str(error.detail))
    return redirect("accounts:own-data")


@login_required
@require_POST
def erasure_cancel(request: HttpRequest) -> HttpResponse:
    with suppress(NotFound):
        erasures.cancel_erasure(user_id=signed_in_user(request).id)
        messages.success(request, _("Your account stays. Welcome back."))
    return redirect("accounts:own-data")


@login_required
@require_http_methods(["GET", "HEAD"])
def api_key_list(request: HttpRequest) -> HttpResponse:
    """Keys for programs. A new one is shown on this page once, and never again."""
    return _api_keys_page(request)


@require_POST
@reauthentication_required(app="allauth.account")
def api_key_create(request: HttpRequest) -> HttpResponse:
    """The answer itself shows the key, so that it is kept nowhere."""
    try:
        made = api_keys.create_api_key(user_id=signed_in_user(request).id, name=request.POST.get("name", ""))
    except DomainError as error:
        messages.error(request, str(error.detail))
        return _api_keys_page(request, status=422)
    return _api_keys_page(request, new_key=made.text)


def _api_keys_page(request: HttpRequest, *, new_key: str = "", status: int = 200) -> HttpResponse:
    context = {
        "keys": selectors.list_api_keys(signed_in_user(request).id),
        "new_key": new_key,
        "name": "" if new_key else request.POST.get("name", ""),
        "base_url": f"{settings.PUBLIC_URL}/v1",
    }
    response = render(request, "accounts/api_keys.html", context, status=status)
    response["Cache-Control"] = "private, no-store"
    return response


@login_required
@require_POST
def api_key_revoke(request: HttpRequest, key_id: UUID) -> HttpResponse:
    api_keys.revoke_api_key(user_id=signed_in_user(request).id, key_id=key_id)
    messages.success(request, _("The key is revoked."))
    return redirect("accounts:api-keys")


def _offered_providers(request: HttpRequest, linked: set[str]) -> list[Provider]:
    """Providers a browser can be sent to, that are set up here and not linked yet."""
    providers = get_social_adapter().list_providers(request)
    visible = [found for found in providers if not (found.app and found.app.settings.get("hidden"))]
    return [found for found in visible if found.supports_redirect and found.id not in linked]


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def profile_edit(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    form = ProfileForm(request.POST or None, instance=user)
    if form.is_valid():
        try:
            profiles.update_profile(user_id=user.id, changes=form.cleaned_data)
        except Invalid as error:
            form.add_domain_errors(error)
        else:
            messages.success(request, _("Your profile is saved."))
            return redirect("accounts:profile")
    context = {"form": form, "avatar_form": AvatarForm(), "avatar_url": profile.avatar_url(user)}
    return render(request, "accounts/profile_form.html", context, status=422 if form.errors else 200)


@login_required
@require_POST
def avatar_change(request: HttpRequest) -> HttpResponse:
    """A picture was chosen, or `remove` pressed."""
    form = AvatarForm(request.POST, request.FILES)
    upload = form.cleaned_data["avatar"] if form.is_valid() else None
    image = upload.read() if upload else None
    if form.errors:
        messages.error(request, str(form.errors["avatar"][0]))
    elif image is None and "remove" not in request.POST:
        messages.error(request, _("Choose a picture first."))
    else:
        try:
            profiles.change_avatar(user_id=signed_in_user(request).id, image=image)
        except DomainError as error:
            messages.error(request, str(error.detail))
        else:
            messages.success(request, _("Your picture is changed."))
    return redirect("accounts:profile")


@login_required
@require_safe
def session_list(request: HttpRequest) -> HttpResponse:
    devices = [
        {
            "device": device,
            "name": describe_device(device.user_agent),
            "place": place_of(device.ip),
            "is_current": device.session_key == request.session.session_key,
        }
        for device in selectors.list_devices(signed_in_user(request).id)
    ]
    return render(request, "accounts/session_list.html", {"devices": devices})


@login_required
@require_POST
def session_end(request: HttpRequest, pk: int) -> HttpResponse:
    device = selectors.list_devices(signed_in_user(request).id).filter(pk=pk).first()
    if device is None:
        raise Http404
    if device.session_key == request.session.session_key:
        logout(request)
        return redirect("account_login")
    sessions.end_session(user_id=signed_in_user(request).id, session_key=device.session_key)
    messages.success(request, _("That device is signed out."))
    return redirect("accounts:sessions")


@login_required
@require_POST
def session_end_all(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere, here too."""
    sessions.end_all_sessions(user_id=signed_in_user(request).id)
    logout(request)
    return redirect("account_login")
