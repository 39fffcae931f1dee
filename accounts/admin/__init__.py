from accounts.admin import people, records, roles  # noqa: F401 - registers them
