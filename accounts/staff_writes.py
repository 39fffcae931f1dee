"""What staff add, change and delete in the admin goes into the log of staff actions by itself."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import ModelAdmin
from django.db import models, transaction
from django.http import HttpRequest

from accounts.services.audit import record_staff_action
from common.http import user_id

_DELETE = "delete_selected"  # records each row it deletes


class RecordsStaffWrites(ModelAdmin):
    """Every registered admin becomes one of these; each write and its record are one transaction."""

    records_values = True  # False where values are personal data, which this log would keep for ever

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> models.Model | None:
        # No key has such a character, and PostgreSQL takes it in no text.
        return None if "\x00" in object_id else super().get_object(request, object_id, from_field)

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> list[dict[str, Any]]:
        message: list[dict[str, Any]] = super().construct_change_message(request, form, formsets, add)
        if self.records_values and not add and form.changed_data:
            message[0]["changed"]["values"] = {
                name: [_plain(form.initial.get(name)), _plain(form.cleaned_data.get(name))]
                for name in form.changed_data
            }
        return message

    def log_addition(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        self._record(request, "create", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: models.Model, message: Any) -> Any:
        if message:
            self._record(request, "change", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for obj in queryset:
            self._record(request, "delete", obj, [])
        return super().log_deletions(request, queryset)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Actions on many rows, each of which leaves one record with the rows' ids."""
        found: dict[str, Any] = super().get_actions(request)
        return {
            name: (_recorded(run, name), name, description)
            for name, (run, _name, description) in found.items()
        }

    def _record(self, request: HttpRequest, verb: str, obj: models.Model, message: Any) -> None:
        record_staff_action(
            actor_id=user_id(request),
            action=f"{verb}_{self.opts.model_name}",
            target=obj,
            details={"changes": message} if message else {},
        )


def recording(admin_class: type[ModelAdmin]) -> type[ModelAdmin]:
    """The same admin, which records what is written through it."""
    if issubclass(admin_class, RecordsStaffWrites):
        return admin_class
    return type(
        admin_class.__name__, (admin_class, RecordsStaffWrites), {"__module__": admin_class.__module__}
    )


def _recorded(run: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(run)
    @transaction.atomic
    def recorded(model_admin: ModelAdmin, request: HttpRequest, queryset: Any) -> Any:
        if name != _DELETE:
            rows = [str(pk) for pk in queryset.values_list("pk", flat=True)]
            details = {"model": queryset.model._meta.label_lower, "rows": rows}
            record_staff_action(actor_id=user_id(request), action=name, details=details)
        return run(model_admin, request, queryset)

    return recorded


def _plain(value: Any) -> Any:
    if isinstance(value, models.QuerySet | list | tuple | set):
        return sorted(map(str, value))
    return value if value is None or isinstance(value, bool | int) else str(value)
