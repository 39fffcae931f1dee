"""Rules of the house that no single app can keep alone."""

import re
from pathlib import Path

import pytest
import yaml
from django.apps import apps
from django.urls import URLPattern, URLResolver, get_resolver

from config import env

LAYERS = [
    {"common"},
    {"accounts"},
    {"notifications", "files", "ai"},
    {"billing"},
    {"personas"},
    {"chat"},
]
LEVEL = {app: level for level, names in enumerate(LAYERS) for app in names}
ROOT = env.BASE_DIR
SOURCES = [path for app in LEVEL for path in (ROOT / app).rglob("*.py")] + list(
    (ROOT / "config").rglob("*.py")
)


def test_foreign_keys_point_down_only() -> None:
    upward = [
        f"{model._meta.label}.{field.name} -> {field.related_model._meta.label}"
        for model in apps.get_models()
        if model._meta.app_label in LEVEL
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete and field.related_model is not None
        if field.related_model._meta.app_label in LEVEL
        and field.related_model._meta.app_label != model._meta.app_label
        and LEVEL[field.related_model._meta.app_label] >= LEVEL[model._meta.app_label]
    ]
    assert upward == []


def environment_names() -> set[str]:
    reader = re.compile(
        r"env\.(?:text|required_text|debug_text|flag|integer|seconds|items|path)\(\s*\"([A-Z0-9_]+)\""
    )
    names = {name for path in SOURCES for name in reader.findall(path.read_text())}
    return names - {"PARLOR_DB_ROLE"}


def test_every_environment_variable_is_in_the_example() -> None:
    example = (ROOT / ".env.example").read_text()
    listed = set(re.findall(r"^#? ?([A-Z][A-Z0-9_]+)=", example, re.MULTILINE))
    assert environment_names() - listed == set()
    compose_only = {"POSTGRES_PASSWORD", "PARLOR_OWNER_PASSWORD", "PARLOR_APP_PASSWORD"}
    outside_settings = {"PARLOR_POSTGRES_NAMESPACE"}
    assert listed - environment_names() == compose_only | outside_settings


def test_every_setting_of_ours_is_used() -> None:
    base = (ROOT / "config/settings/base.py").read_text()
    prefixes = (
        "CHAT_",
        "AI_",
        "BILLING_",
        "ACCOUNTS_",
        "FILES_",
        "PERSONAS_",
        "MAILBOX_",
        "DATABASE_THREADS",
    )
    ours: list[str] = re.findall(r"^([A-Z][A-Z0-9_]+)(?::[^=]+)? =", base, re.MULTILINE)
    code = "\n".join(path.read_text() for path in SOURCES if "settings" not in path.parts)
    assert [name for name in ours if name.startswith(prefixes) and f"settings.{name}" not in code] == []


def test_pages_load_nothing_from_another_host() -> None:
    loading = re.compile(
        r"""(?:src|srcset|poster)=["']https?://|<link[^>]+href=["']https?://|url\(["']?https?://|@import"""
    )
    files = [*ROOT.glob("templates/**/*.html"), *ROOT.glob("static/**/*.css"), *ROOT.glob("static/**/*.js")]
    assert [str(path.relative_to(ROOT)) for path in files if loading.search(path.read_text())] == []


def test_templates_have_no_inline_styles_or_handlers() -> None:
    inline = re.compile(r"""\s(?:style|on[a-z]+)=["']""")
    # Mail programs know no other way to style.
    pages = [path for path in ROOT.glob("templates/**/*.html") if not {"admin", "email"} & set(path.parts)]
    assert [str(path.relative_to(ROOT)) for path in pages if inline.search(path.read_text())] == []


def routes(patterns: list[URLPattern | URLResolver], prefix: str = "") -> list[str]:
    found = []
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            found += routes(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            found.append(prefix + str(pattern.pattern))
    return found


def test_api_paths_end_with_a_slash() -> None:
    paths = [route for route in routes(get_resolver().url_patterns) if route.startswith("api/v1/")]
    assert paths
    assert [path for path in paths if not path.endswith("/")] == []


@pytest.fixture
def compose() -> dict:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())


def test_compose_has_every_process(compose: dict) -> None:
    assert set(compose["services"]) == {"postgres", "redis", "migrate", "web", "runner", "worker", "beat"}
    assert "pgvector" in compose["services"]["postgres"]["image"]


def test_only_the_migration_gets_the_owner_role(compose: dict) -> None:
    with_owner = {
        name
        for name, service in compose["services"].items()
        if any("parlor_owner" in str(value) for value in service.get("environment", {}).values())
    }
    assert with_owner == {"migrate"}


def test_compose_gives_processes_longer_to_stop_than_they_take(compose: dict) -> None:
    from django.conf import settings

    from config.serve import STOP_SECONDS

    for name in ("web", "runner"):
        allowed = int(compose["services"][name]["stop_grace_period"].removesuffix("s"))
        assert allowed > settings.SHUTDOWN_GRACE_SECONDS + STOP_SECONDS


def test_compose_variables_are_in_the_example() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    names = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert {name for name in names if f"{name}=" not in example} == set()


def test_commands_of_compose_and_image_exist(compose: dict) -> None:
    for name, service in compose["services"].items():
        command = service.get("command", [])
        if command[:2] == ["python", "manage.py"] and command[2] != "migrate":
            owners = list(ROOT.glob(f"*/management/commands/{command[2]}.py"))
            assert len(owners) == 1, name
    assert 'CMD ["python", "-m", "config.serve"]' in (ROOT / "Dockerfile").read_text()


def test_the_image_makes_every_folder_the_settings_write_to(compose: dict) -> None:
    base = (ROOT / "config/settings/base.py").read_text()
    image = (ROOT / "Dockerfile").read_text()
    folders = {"/data", *(f"/data/{name}" for name in re.findall(r'DATA_DIR / "(\w+)"', base))}
    made = re.search(r"install -d -o parlor ((?:/[\w/]+ ?)+)$", image, re.MULTILINE)

    assert folders == {"/data", "/data/media", "/data/private"}
    assert made
    assert set(made[1].split()) == folders
    # A volume takes over what the image has in its place, owners too, as long as it is empty.
    assert image.index("install -d") < image.index("USER parlor") < image.index("VOLUME /data")
    for name in ("web", "runner", "worker", "beat"):
        assert compose["services"][name]["environment"]["PARLOR_DATA_DIR"] == "/data"
        assert "media:/data" in compose["services"][name]["volumes"]


def test_requirements_are_hashed_and_name_no_registry() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text()
        pinned = re.findall(r"^[a-z0-9][^\n]*==[^\n]*", text, re.MULTILINE | re.IGNORECASE)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text
    assert not Path(ROOT / "uv.lock").exists()
