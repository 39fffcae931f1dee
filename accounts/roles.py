"""What each role of the staff may do: groups with permissions, given once by migrations.

Operators may change the groups afterwards; nothing here overwrites that. A new permission gets a line here
and a migration that calls `grant`.
"""

from fnmatch import fnmatchcase
from typing import Any

from django.apps import apps as all_apps
from django.contrib.auth.management import create_permissions

# Patterns of "app.codename".
ROLES: dict[str, list[str]] = {
    # Whoever makes personas; what that allows is asked of the persona, not of a permission.
    "creator": [],
    "moderator": [
        "accounts.view_user",
        "accounts.suspend_user",
        "accounts.end_sessions",
        "chat.view_*",
        "chat.read_content",
        "chat.stop_generation",
        "files.view_file",
        "personas.view_*",
        "personas.change_category",
        "personas.hide_persona",
    ],
    "support": [
        "account.view_*",
        "accounts.view_*",
        "accounts.suspend_user",
        "accounts.end_sessions",
        "accounts.verify_email",
        "accounts.revoke_api_key",
        "ai.view_modelcall",
        "billing.view_*",
        "chat.view_generation",
        "chat.stop_generation",
        "files.view_file",
        "usersessions.view_*",
    ],
    "finance": [
        "accounts.view_user",
        "ai.view_*",
        "ai.change_spendlimit",
        # Neither limits nor what gives credits to people: whoever acts within them does not set them.
        "billing.view_*",
        "billing.*_actionprice",
        "billing.*_pack",
        "billing.*_plan",
        "billing.*_tier",
        "billing.adjust_wallet",
        "billing.comp_subscription",
        "billing.decide_approval",
        "billing.extend_subscription",
        "billing.refresh_allowance",
        "billing.refund_payment",
        "billing.release_hold",
        "billing.replay_storeevent",
        "billing.run_ledgercheck",
        "billing.run_reconciliation",
        "billing.suspend_wallet",
    ],
    "admin": ["*"],
}


def grant(apps: Any, schema_editor: Any = None, *, new: tuple[str, ...] = ()) -> None:
    """Create the groups with their rights. One that is there keeps what operators made of it, and gets only
    those of the rights in `new` that it matches. For migrations.
    """
    for config in all_apps.get_app_configs():
        if config.models_module:
            create_permissions(config, verbosity=0)
    group_model = apps.get_model("auth", "Group")
    permissions = list(apps.get_model("auth", "Permission").objects.select_related("content_type"))
    for name, patterns in ROLES.items():
        group, created = group_model.objects.get_or_create(name=name)
        offered = [found for found in permissions if created or _name(found) in new]
        group.permissions.add(*(found for found in offered if _matches(found, patterns)))


def _matches(permission: Any, patterns: list[str]) -> bool:
    return any(fnmatchcase(_name(permission), pattern) for pattern in patterns)


def _name(permission: Any) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"
