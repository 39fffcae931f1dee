from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.admin import ModelAdmin

from common import jobs
from common.admin_tables import ReadOnlyAdmin
from common.models import OutboxMessage

# What runs when is in the settings, and beat writes it into these tables at each start.
for _model in (ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule):
    admin.site.unregister(_model)


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(ModelAdmin):
    """Regular work: when it ran last, and a switch to hold it back.

    Without Redis one process keeps the time in its memory, so there is nothing to show.
    """

    list_display = ("name", "enabled", "schedule", "last_run_at", "total_run_count")
    list_select_related = ("interval", "crontab", "solar", "clocked")
    fields = ("name", "task", "schedule", "enabled", "last_run_at", "total_run_count")
    readonly_fields = ("name", "task", "schedule", "last_run_at", "total_run_count")
    ordering = ("name",)
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(settings.REDIS_URL) and super().has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description=_("schedule"))
    def schedule(self, task: PeriodicTask) -> str:
        return str(task.scheduler)


@admin.register(OutboxMessage)
class OutboxMessageAdmin(ReadOnlyAdmin):
    list_display = ("task", "state", "attempts", "available_at", "created_at")
    list_filter = ("state", "task")
    # Without the arguments: they hold addresses, and mails with codes in them.
    fields = ("task", "key", "state", "attempts", "available_at", "created_at", "last_error")
    readonly_fields = ("created_at",)
    actions = ("retry_failed",)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("common.change_outboxmessage")

    @admin.action(description=_("Try failed work again"), permissions=["retry"])
    def retry_failed(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> None:
        count = sum(
            jobs.retry_failed_message(message_id) for message_id in queryset.values_list("id", flat=True)
        )
        self.message_user(
            request, ngettext("%d task will run again.", "%d tasks will run again.", count) % count
        )
