import common.ids
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.contrib.postgres.search
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.db.models.lookups
import django.utils.timezone
import personas.fields
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        # A generated column takes immutable functions only, and array_to_string is merely stable
        # (for types whose text depends on settings, which text[] is not).
        migrations.RunSQL(
            """
            CREATE FUNCTION personas_tags_text(tags text[]) RETURNS text
            LANGUAGE sql IMMUTABLE PARALLEL SAFE
            RETURN pg_catalog.array_to_string(tags, ' ')
            """,
            "DROP FUNCTION personas_tags_text(text[])",
        ),
        migrations.CreateModel(
            name="Category",
            fields=[
                ("slug", models.SlugField(max_length=40, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=60, verbose_name="name")),
                ("position", models.PositiveSmallIntegerField(default=0, verbose_name="position")),
            ],
            options={
                "verbose_name": "category",
                "verbose_name_plural": "categories",
            },
        ),
        migrations.CreateModel(
            name="Persona",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                ("slug", models.SlugField(max_length=120, unique=True, verbose_name="address")),
                ("name", models.CharField(max_length=100, verbose_name="name")),
                ("tagline", models.CharField(blank=True, max_length=200, verbose_name="tagline")),
                ("description", models.TextField(blank=True, max_length=50000, verbose_name="description")),
                ("greeting", models.TextField(blank=True, max_length=50000, verbose_name="greeting")),
                (
                    "alternate_greetings",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.TextField(),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="other greetings",
                    ),
                ),
                ("personality", models.TextField(blank=True, max_length=50000, verbose_name="personality")),
                ("scenario", models.TextField(blank=True, max_length=50000, verbose_name="scenario")),
                (
                    "example_dialogue",
                    models.TextField(blank=True, max_length=50000, verbose_name="example dialogue"),
                ),
                (
                    "system_prompt",
                    models.TextField(blank=True, max_length=50000, verbose_name="system prompt"),
                ),
                (
                    "post_history_instructions",
                    models.TextField(blank=True, max_length=50000, verbose_name="closing instructions"),
                ),
                ("model", models.CharField(blank=True, max_length=100, verbose_name="model")),
                (
                    "temperature",
                    models.DecimalField(
                        blank=True,
                        decimal_places=2,
                        max_digits=3,
                        null=True,
                        validators=[
                            django.core.validators.MinValueValidator(Decimal("0")),
                            django.core.validators.MaxValueValidator(Decimal("2")),
                        ],
                        verbose_name="temperature",
                    ),
                ),
                (
                    "tags",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(max_length=40),
                        blank=True,
                        default=list,
                        size=None,
                        verbose_name="tags",
                    ),
                ),
                ("language", models.CharField(default="en", max_length=10, verbose_name="language")),
                (
                    "rating",
                    models.CharField(
                        choices=[("everyone", "Everyone"), ("teen", "Teen"), ("mature", "Mature")],
                        default="everyone",
                        max_length=10,
                        verbose_name="rating",
                    ),
                ),
                (
                    "visibility",
                    models.CharField(
                        choices=[("private", "Private"), ("unlisted", "Unlisted"), ("public", "Public")],
                        default="private",
                        max_length=10,
                        verbose_name="visibility",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[("draft", "Draft"), ("published", "Published")],
                        default="published",
                        max_length=10,
                        verbose_name="status",
                    ),
                ),
                ("allow_clone", models.BooleanField(default=True, verbose_name="others may copy it")),
                ("avatar_key", models.CharField(blank=True, max_length=120)),
                ("card_image_key", models.CharField(blank=True, max_length=120)),
                ("portrait_key", models.CharField(blank=True, max_length=120)),
                ("card", personas.fields.ExactJSONField(blank=True, null=True)),
                ("lorebook", personas.fields.ExactJSONField(blank=True, null=True)),
                ("likes_count", models.PositiveIntegerField(default=0, editable=False, verbose_name="likes")),
                (
                    "chats_count",
                    models.PositiveIntegerField(default=0, editable=False, verbose_name="people who talked"),
                ),
                ("trending_score", models.FloatField(default=0, editable=False, verbose_name="trending")),
                (
                    "published_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="published at"),
                ),
                (
                    "hidden_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="taken down at"),
                ),
                (
                    "hidden_reason",
                    models.CharField(blank=True, editable=False, max_length=500, verbose_name="reason"),
                ),
                (
                    "deleted_at",
                    models.DateTimeField(blank=True, editable=False, null=True, verbose_name="deleted at"),
                ),
                (
                    "search_vector",
                    models.GeneratedField(
                        db_persist=True,
                        expression=django.contrib.postgres.search.CombinedSearchVector(
                            django.contrib.postgres.search.CombinedSearchVector(
                                django.contrib.postgres.search.CombinedSearchVector(
                                    django.contrib.postgres.search.SearchVector(
                                        "name", config="simple", weight="A"
                                    ),
                                    "||",
                                    django.contrib.postgres.search.SearchVector(
                                        "tagline", config="english", weight="B"
                                    ),
                                    django.contrib.postgres.search.SearchConfig("simple"),
                                ),
                                "||",
                                django.contrib.postgres.search.SearchVector(
                                    models.Func(
                                        models.F("tags"),
                                        function="personas_tags_text",
                                        output_field=models.TextField(),
                                    ),
                                    config="english",
                                    weight="B",
                                ),
                                django.contrib.postgres.search.SearchConfig("simple"),
                            ),
                            "||",
                            django.contrib.postgres.search.SearchVector(
                                "description", config="english", weight="C"
                            ),
                            django.contrib.postgres.search.SearchConfig("simple"),
                        ),
                        output_field=django.contrib.postgres.search.SearchVectorField(),
                    ),
                ),
                (
                    "category",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="personas",
                        to="personas.category",
                        verbose_name="category",
                    ),
                ),
                (
                    "cloned_from",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="clones",
                        to="personas.persona",
                        verbose_name="copy of",
                    ),
                ),
                (
                    "owner",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="personas",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
            ],
            options={
                "verbose_name": "persona",
                "verbose_name_plural": "personas",
                "permissions": [("hide_persona", "Can take a persona down")],
            },
        ),
        migrations.CreateModel(
            name="PersonaActivity",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("messages", models.PositiveIntegerField(default=1)),
                (
                    "persona",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="activity",
                        to="personas.persona",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PersonaFavorite",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "persona",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(class)ss",
                        to="personas.persona",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(class)ss",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="PersonaLike",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=common.ids.uuid7, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now, editable=False)),
                (
                    "persona",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(class)ss",
                        to="personas.persona",
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="%(class)ss",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddIndex(
            model_name="persona",
            index=django.contrib.postgres.indexes.GinIndex(fields=["search_vector"], name="persona_search"),
        ),
        migrations.AddIndex(
            model_name="persona",
            index=django.contrib.postgres.indexes.GinIndex(fields=["tags"], name="persona_tags"),
        ),
        migrations.AddIndex(
            model_name="persona",
            index=models.Index(fields=["owner", "-created_at", "-id"], name="persona_by_owner"),
        ),
        migrations.AddIndex(
            model_name="persona",
            index=models.Index(
                condition=models.Q(
                    ("deleted_at", None),
                    ("hidden_at", None),
                    ("status", "published"),
                    ("visibility", "public"),
                ),
                fields=["-trending_score", "-id"],
                name="persona_listed_trending",
            ),
        ),
        migrations.AddIndex(
            model_name="persona",
            index=models.Index(
                condition=models.Q(
                    ("deleted_at", None),
                    ("hidden_at", None),
                    ("status", "published"),
                    ("visibility", "public"),
                ),
                fields=["-likes_count", "-id"],
                name="persona_listed_top",
            ),
        ),
        migrations.AddIndex(
            model_name="persona",
            index=models.Index(
                condition=models.Q(
                    ("deleted_at", None),
                    ("hidden_at", None),
                    ("status", "published"),
                    ("visibility", "public"),
                ),
                fields=["-published_at", "-id"],
                name="persona_listed_new",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("slug__regex", "^[a-zA-Z0-9_-]+$")), name="persona_slug_simple"
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("name", ""), _negated=True), name="persona_name_present"
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("rating__in", ["everyone", "teen", "mature"])),
                name="persona_rating_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("visibility__in", ["private", "unlisted", "public"])),
                name="persona_visibility_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("status__in", ["draft", "published"])), name="persona_status_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("temperature", None),
                    models.Q(("temperature__gte", 0), ("temperature__lte", Decimal("2"))),
                    _connector="OR",
                ),
                name="persona_temperature_in_range",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("tags__len__lte", 20)), name="persona_tags_few"
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=models.Q(("alternate_greetings__len__lte", 50)), name="persona_greetings_few"
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("description"), 50000
                ),
                name="persona_description_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("greeting"), 50000
                ),
                name="persona_greeting_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("personality"), 50000
                ),
                name="persona_personality_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("scenario"), 50000
                ),
                name="persona_scenario_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("example_dialogue"), 50000
                ),
                name="persona_example_dialogue_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("system_prompt"), 50000
                ),
                name="persona_system_prompt_length",
            ),
        ),
        migrations.AddConstraint(
            model_name="persona",
            constraint=models.CheckConstraint(
                condition=django.db.models.lookups.LessThanOrEqual(
                    django.db.models.functions.text.Length("post_history_instructions"), 50000
                ),
                name="persona_post_history_instruc_length",
            ),
        ),
        migrations.AddIndex(
            model_name="personaactivity",
            index=models.Index(fields=["day", "persona"], name="persona_activity_day"),
        ),
        migrations.AddConstraint(
            model_name="personaactivity",
            constraint=models.UniqueConstraint(
                fields=("persona", "user", "day"), name="persona_activity_once"
            ),
        ),
        migrations.AddConstraint(
            model_name="personafavorite",
            constraint=models.UniqueConstraint(fields=("user", "persona"), name="personafavorite_once"),
        ),
        migrations.AddConstraint(
            model_name="personalike",
            constraint=models.UniqueConstraint(fields=("user", "persona"), name="personalike_once"),
        ),
    ]
