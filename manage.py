#!/usr/bin/env python
"""Django's command line. Commands that change the schema connect as its owner."""

import os
import sys

OWNER_COMMANDS = {"migrate", "sqlmigrate", "makemigrations", "dbshell", "prepare_database"}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.local")
    if len(sys.argv) > 1 and sys.argv[1] in OWNER_COMMANDS:
        os.environ.setdefault("PARLOR_DB_ROLE", "owner")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
