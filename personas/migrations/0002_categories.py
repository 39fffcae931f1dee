from typing import Any

from django.db import migrations

CATEGORIES = (
    ("companions", "Companions"),
    ("adventure", "Adventure"),
    ("fantasy", "Fantasy"),
    ("science-fiction", "Science fiction"),
    ("mystery", "Mystery"),
    ("history", "History"),
    ("learning", "Learning"),
    ("languages", "Languages"),
    ("writing", "Writing"),
    ("wellbeing", "Wellbeing"),
    ("work", "Work"),
    ("humour", "Humour"),
    ("everyday", "Everyday"),
)


def add_categories(apps: Any, schema_editor: Any) -> None:
    category = apps.get_model("personas", "Category")
    category.objects.bulk_create(
        category(slug=slug, name=name, position=position * 10)
        for position, (slug, name) in enumerate(CATEGORIES, start=1)
    )


class Migration(migrations.Migration):
    dependencies = [("personas", "0001_initial")]

    operations = [migrations.RunPython(add_categories, migrations.RunPython.noop)]
