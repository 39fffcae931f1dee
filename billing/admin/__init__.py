from billing.admin import (  # noqa: F401 - registers them
    approvals,
    catalogue,
    codes,
    events,
    ledger,
    payments,
    reconciliations,
    subscriptions,
    usage,
    wallets,
)
