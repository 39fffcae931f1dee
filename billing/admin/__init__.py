from billing.admin import catalogue, ledger, usage, wallets  # noqa: F401 - registers them
