"""Where django-allauth asks us: addresses, throttling, sessions."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import clean_client_ip, is_headless_request
from allauth.headless.internal.restkit.response import ErrorResponse
from allauth.usersessions.adapter import DefaultUserSessionsAdapter
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts import throttle
from accounts.models import MAX_EMAIL_LENGTH, User
from accounts.services import sessions
from common.http import client_ip


class AccountAdapter(DefaultAccountAdapter):
    def clean_email(self, email: str) -> str:
        if len(email) > MAX_EMAIL_LENGTH:
            raise self.validation_error("invalid_login")
        return email

    def save_user(self, request: HttpRequest, user: User, form: Any, commit: bool = True) -> User:
        try:
            with transaction.atomic():
                return super().save_user(request, user, form, commit)
        except IntegrityError:
            # Another sign-up with this address was quicker by milliseconds.
            raise ImmediateHttpResponse(self._email_taken(request)) from None

    def get_client_ip(self, request: HttpRequest) -> str:
        address = clean_client_ip(client_ip(request))
        if address is None:
            raise PermissionDenied("The caller's address is unknown.")
        return address

    def pre_authenticate(self, request: HttpRequest, **credentials: Any) -> None:
        if throttle.too_many_failures():
            raise self.validation_error("too_many_login_attempts")
        super().pre_authenticate(request, **credentials)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        throttle.count_failure()

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth adds the Host header, which would give a guesser one allowance per name of ours.
        return str(credentials.get("email", "")).strip().lower()

    def _email_taken(self, request: HttpRequest) -> HttpResponse:
        error = self.validation_error("email_taken")
        if is_headless_request(request):
            return ErrorResponse(request, exception=error)
        messages.error(request, error.messages[0])
        return redirect("account_signup")


class UserSessionsAdapter(DefaultUserSessionsAdapter):
    def end_sessions(self, sessions_to_end: list[UserSession]) -> None:
        for device in sessions_to_end:
            sessions.end_session(user_id=device.user_id, session_key=device.session_key)
