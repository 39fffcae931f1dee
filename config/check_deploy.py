"""`check --deploy` with the production settings, as `make lint` runs it: no warning is accepted."""

import os


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings.production"
    # The check reads settings only; these stand in for an operator's own.
    os.environ.setdefault("PARLOR_SECRET_KEY", "for-the-deployment-check-only-" + "0123456789abcdef" * 4)
    os.environ.setdefault("PARLOR_PUBLIC_URL", "https://parlor.example")
    os.environ.setdefault("PARLOR_ALLOWED_HOSTS", "parlor.example")

    import django
    from django.core.management import call_command

    django.setup()
    call_command("check", deploy=True, fail_level="WARNING")


if __name__ == "__main__":
    main()
