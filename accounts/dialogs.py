"""Admin actions that ask for a reason first, for the admins of every app."""

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.dataclasses import ActionDialog
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from common.errors import DomainError


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Kept in the staff log with your name."),
    )


def ask_reason(title: Any, description: Any, submit: Any) -> ActionDialog:
    """The dialog of an action; the action then gets the filled `ReasonForm`."""
    return ActionDialog(title=title, description=description, form_class=ReasonForm, form_submit_text=submit)


def finish(
    request: HttpRequest, url: str, *, done: Any = None, error: DomainError | None = None
) -> HttpResponse:
    """Close the dialog and show how it went on the page at `url`."""
    if error is not None:
        messages.error(request, str(error.detail))
    else:
        messages.success(request, str(done))
    if request.headers.get("HX-Request"):
        return HttpResponse(headers={"HX-Redirect": url})
    return redirect(url)
