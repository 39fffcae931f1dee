import re
import secrets
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display

from billing.admin.fields import CreditsFormField
from billing.admin.tables import SearchedAtStore
from billing.models import Redemption, RedemptionCode
from billing.services import four_eyes
from common.admin_tables import BoundedPaginator
from common.credits import format_credits

# Without what is taken for something else when it is read out.
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_LENGTH = 12
_SEPARATORS = re.compile(r"[ -]")
_CODE = re.compile(r"[A-Z0-9]{4,40}", re.ASCII)


class CodeForm(forms.ModelForm):
    class Meta:
        model = RedemptionCode
        fields = ["code", "credits", "uses", "expires_at", "note"]

    # Whether who fills it in may go above the limit for staff.
    is_unlimited = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "code" in self.fields:
            self.fields["code"].required = False
            self.fields["code"].help_text = _("Letters and digits. Empty: one is made up.")

    def clean_code(self) -> str:
        typed = self.cleaned_data["code"]
        if not typed:
            return "".join(secrets.choice(_LETTERS) for _letter in range(_LENGTH))
        code = _SEPARATORS.sub("", typed).upper()
        if not _CODE.fullmatch(code):
            raise ValidationError(_("A code has 4 to 40 letters and digits."))
        return code

    def clean_uses(self) -> int:
        uses: int = self.cleaned_data["uses"]
        if uses < max(self.instance.used, 1):
            raise ValidationError(_("Not fewer than 1, nor than have used it already."))
        return uses

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        given = self.cleaned_data
        credits, uses = given.get("credits", self.instance.credits), given.get("uses", self.instance.uses)
        grows = {"credits", "uses"} & set(self.changed_data)
        if grows and credits and uses and not self.is_unlimited and four_eyes.is_large_code(credits, uses):
            raise ValidationError(_("In all it gives more than one person may give: only superusers may."))
        return cleaned


@admin.register(RedemptionCode)
class RedemptionCodeAdmin(ModelAdmin):
    """Codes to give away; one that was used keeps what it gives."""

    form = CodeForm
    list_display = ["created_at", "code", "credits_shown", "used", "uses", "expires_at", "note"]
    ordering = ["-id"]
    list_per_page = 25
    show_full_result_count = False
    paginator = BoundedPaginator
    search_fields = ["=code"]
    actions = None

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "credits":
            return CreditsFormField(label=db_field.verbose_name, min_value=0)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[CodeForm]:
        form: type[CodeForm] = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"is_unlimited": request.user.is_superuser})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        if obj is None:
            return []
        return ["code", "used", "credits"] if obj.used else ["code", "used"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        fields = ["code", "credits", "uses", "expires_at", "note"]
        return fields if obj is None else [*fields, "used"]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description=_("credits"))
    def credits_shown(self, code: RedemptionCode) -> str:
        return format_credits(code.credits)


@admin.register(Redemption)
class RedemptionAdmin(SearchedAtStore):
    list_display = ["created_at", "user", "code", "credits_shown"]
    list_select_related = ["user", "code"]
    ordering = ["-id"]
    external = ("code__code",)
    search_help_text = _("A code, or somebody's id or email address")

    @display(description=_("credits"))
    def credits_shown(self, redemption: Redemption) -> str:
        return format_credits(redemption.credits)
