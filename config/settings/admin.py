"""The admin's theme: unfold with our colours, grouped by domain."""

from typing import Any

from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from config import env


def _changelist(title: Any, icon: str, model: str) -> dict[str, Any]:
    app, _dot, name = model.partition(".")
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_changelist"),
        "permission": lambda request: request.user.has_perm(f"{app}.view_{name}"),
    }


UNFOLD = {
    "SITE_TITLE": "Parlor",
    "SITE_HEADER": "Parlor",
    "SITE_SYMBOL": "local_cafe",
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "config.dashboard.dashboard",
    "COLORS": {
        "base": {
            "50": "oklch(98.4% .006 85)",
            "100": "oklch(96.4% .009 83)",
            "200": "oklch(91.8% .012 80)",
            "300": "oklch(86% .014 76)",
            "400": "oklch(70% .018 70)",
            "500": "oklch(54.5% .019 66)",
            "600": "oklch(43.8% .018 62)",
            "700": "oklch(36.6% .016 60)",
            "800": "oklch(27% .013 58)",
            "900": "oklch(21.2% .011 56)",
            "950": "oklch(14.6% .009 54)",
        },
        "primary": {
            "50": "oklch(97.6% .016 60)",
            "100": "oklch(94.6% .034 58)",
            "200": "oklch(89% .068 54)",
            "300": "oklch(81.4% .11 50)",
            "400": "oklch(72.4% .15 46)",
            "500": "oklch(63.8% .165 42)",
            "600": "oklch(55.6% .155 40)",
            "700": "oklch(47.4% .132 39)",
            "800": "oklch(40.2% .108 38)",
            "900": "oklch(34.6% .086 38)",
            "950": "oklch(23.8% .058 37)",
        },
    },
    "SIDEBAR": {
        "show_search": True,
        "navigation": [
            {
                "items": [
                    {"title": _("Dashboard"), "icon": "monitoring", "link": reverse_lazy("admin:index")},
                ]
            },
            {
                "title": _("People"),
                "separator": True,
                "items": [
                    _changelist(_("Users"), "group", "accounts.user"),
                    _changelist(_("Staff log"), "history", "accounts.staffaction"),
                    _changelist(_("Texts"), "sms", "accounts.textmessage"),
                    _changelist(_("API keys"), "key", "accounts.apikey"),
                    _changelist(_("Data exports"), "archive", "accounts.dataexport"),
                    _changelist(_("Erasures"), "person_remove", "accounts.erasure"),
                    _changelist(_("Files"), "folder", "files.file"),
                ],
            },
            {
                "title": _("Conversations"),
                "separator": True,
                "items": [
                    _changelist(_("Personas"), "theater_comedy", "personas.persona"),
                    _changelist(_("Categories"), "category", "personas.category"),
                    _changelist(_("Sessions"), "forum", "chat.chatsession"),
                    _changelist(_("Messages"), "chat_bubble", "chat.message"),
                    _changelist(_("Replies"), "stream", "chat.generation"),
                ],
            },
            {
                "title": _("Money"),
                "separator": True,
                "items": [
                    {
                        "title": _("Does it earn"),
                        "icon": "payments",
                        "link": reverse_lazy("admin:money"),
                        "permission": lambda request: request.user.has_perm("billing.view_payment"),
                    },
                    _changelist(_("Payments"), "credit_card", "billing.payment"),
                    _changelist(_("Subscriptions"), "autorenew", "billing.subscription"),
                    _changelist(_("Orders"), "shopping_cart", "billing.order"),
                    _changelist(_("Refunds"), "undo", "billing.refund"),
                    _changelist(_("Disputes"), "gavel", "billing.dispute"),
                    _changelist(_("Approvals"), "how_to_reg", "billing.approval"),
                    _changelist(_("Events of stores"), "webhook", "billing.storeevent"),
                    _changelist(_("Reconciliations"), "compare_arrows", "billing.reconciliation"),
                    _changelist(_("Codes"), "redeem", "billing.redemptioncode"),
                    _changelist(_("Wallets"), "account_balance_wallet", "billing.wallet"),
                    _changelist(_("Ledger"), "receipt_long", "billing.ledgertransaction"),
                    _changelist(_("Holds"), "pending_actions", "billing.hold"),
                    _changelist(_("Ledger checks"), "fact_check", "billing.ledgercheck"),
                    _changelist(_("Tiers"), "stairs", "billing.tier"),
                    _changelist(_("Plans"), "loyalty", "billing.plan"),
                    _changelist(_("Packs"), "shopping_bag", "billing.pack"),
                    _changelist(_("Action prices"), "sell", "billing.actionprice"),
                    _changelist(_("History of prices"), "history", "billing.cataloguechange"),
                    _changelist(_("Limits for staff"), "front_hand", "billing.moneylimit"),
                ],
            },
            {
                "title": _("Models"),
                "separator": True,
                "items": [
                    _changelist(_("Catalogue"), "smart_toy", "ai.aimodel"),
                    _changelist(_("Calls"), "call_made", "ai.modelcall"),
                    _changelist(_("Spending limits"), "speed", "ai.spendlimit"),
                ],
            },
            {
                "title": _("Operations"),
                "separator": True,
                "items": [
                    _changelist(_("Outbox"), "outbox", "common.outboxmessage"),
                    *(
                        [_changelist(_("Regular work"), "schedule", "django_celery_beat.periodictask")]
                        if env.text("REDIS_URL")
                        else []
                    ),
                    _changelist(_("Roles"), "badge", "auth.group"),
                ],
            },
        ],
    },
}
