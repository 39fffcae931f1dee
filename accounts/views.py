from django.contrib import messages
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts import profile, selectors
from accounts.authentication import signed_in_user
from accounts.devices import describe_device
from accounts.forms import AvatarForm, ProfileForm
from accounts.services import profiles, sessions
from common.errors import DomainError, Invalid


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
