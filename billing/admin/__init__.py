from billing.admin import catalogue, ledger, wallets  # noqa: F401 - registers them
