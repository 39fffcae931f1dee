"""Forms of the persona pages. What may stand in a field is decided by the services."""

from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _

from ai import selectors as ai
from common.errors import DomainError
from personas import selectors
from personas.limits import NAME_MAX, TAGLINE_MAX, TEXT_MAX
from personas.models import LONG_TEXTS, Persona
from personas.services.fields import PersonaFields

SORTS = (
    ("", _("Best match")),
    ("trending", _("Trending")),
    ("top", _("Most liked")),
    ("new", _("Newest")),
)
LANGUAGES = (
    ("ar", "العربية"),
    ("de", "Deutsch"),
    ("en", "English"),
    ("es", "Español"),
    ("fi", "Suomi"),
    ("fr", "Français"),
    ("hi", "हिन्दी"),
    ("id", "Bahasa Indonesia"),
    ("it", "Italiano"),
    ("ja", "日本語"),
    ("ko", "한국어"),
    ("nl", "Nederlands"),
    ("pl", "Polski"),
    ("pt", "Português"),
    ("ru", "Русский"),
    ("sv", "Svenska"),
    ("tr", "Türkçe"),
    ("uk", "Українська"),
    ("vi", "Tiếng Việt"),
    ("zh", "中文"),
)


class LongTextField(forms.CharField):
    """Text as it was typed: browsers send line ends their own way, and blanks at the ends may be meant."""

    def __init__(self, *, rows: int, **kwargs: Any) -> None:
        super().__init__(
            required=False,
            strip=False,
            max_length=TEXT_MAX,
            widget=forms.Textarea(attrs={"rows": rows}),
            **kwargs,
        )

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")

    def has_changed(self, initial: Any, data: Any) -> bool:
        return (initial or "").replace("\r\n", "\n") != (data or "").replace("\r\n", "\n")


class GreetingsWidget(forms.Widget):
    """One text area for each greeting, and an empty one for the next."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> list[str]:
        values = data.getlist(name) if hasattr(data, "getlist") else data.get(name, [])
        return [value.replace("\r\n", "\n") for value in values if value.strip()]

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> Any:
        greetings: Sequence[str] = value or []
        areas = ((name, number, text) for number, text in enumerate([*greetings, ""], start=1))
        return format_html(
            '<div id="{}">{}</div>',
            (attrs or {}).get("id", f"id_{name}"),
            format_html_join(
                "",
                '<textarea name="{0}" id="id_{0}_{1}" rows="4" aria-label="{3} {1}">\n{2}</textarea>',
                ((*area, _("Greeting")) for area in areas),
            ),
        )


class GreetingsField(forms.Field):
    widget = GreetingsWidget

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != list(data or [])


class TagsField(forms.CharField):
    """Tags separated by commas."""

    def prepare_value(self, value: Any) -> Any:
        return ", ".join(value) if isinstance(value, (list, tuple)) else value

    def to_python(self, value: Any) -> Any:
        return [tag.strip() for tag in (super().to_python(value) or "").split(",") if tag.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        return list(initial or []) != self.to_python(data)


class PersonaForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=NAME_MAX)
    tagline = forms.CharField(
        label=_("One line about them"),
        max_length=TAGLINE_MAX,
        required=False,
        help_text=_("Stands under the name on the card."),
    )
    portrait = forms.FileField(
        label=_("Portrait"),
        required=False,
        help_text=_("PNG, JPEG, WebP or GIF, at most 10 MB."),
        widget=forms.FileInput(attrs={"accept": "image/png,image/jpeg,image/webp,image/gif"}),
    )
    remove_portrait = forms.BooleanField(label=_("Go back to the drawn initial"), required=False)
    greeting = LongTextField(
        label=_("Greeting"), rows=6, help_text=_("The first words of every conversation.")
    )
    alternate_greetings = GreetingsField(label=_("Other greetings"), required=False)
    description = LongTextField(
        label=_("Description"), rows=8, help_text=_("Who they are. Everybody can read this.")
    )
    personality = LongTextField(label=_("Personality"), rows=4)
    scenario = LongTextField(label=_("Scenario"), rows=4, help_text=_("Where the conversation happens."))
    example_dialogue = LongTextField(
        label=_("Example dialogue"),
        rows=6,
        help_text=_("How they speak. {{char}} stands for the persona, {{user}} for the person."),
    )
    system_prompt = LongTextField(label=_("System prompt"), rows=4)
    post_history_instructions = LongTextField(
        label=_("Closing instructions"),
        rows=3,
        help_text=_("Put after the conversation, where they weigh most."),
    )
    category = forms.ChoiceField(label=_("Category"), required=False)
    tags = TagsField(label=_("Tags"), required=False, help_text=_("Separated by commas, at most 20."))
    language = forms.ChoiceField(label=_("Language"), choices=LANGUAGES, initial="en")
    rating = forms.ChoiceField(label=_("Suitable for"), choices=Persona.Rating)
    model = forms.ChoiceField(label=_("Model"), required=False)
    temperature = forms.DecimalField(
        label=_("Temperature"),
        required=False,
        min_value=0,
        max_value=2,
        max_digits=3,
        decimal_places=2,
        widget=forms.NumberInput(attrs={"step": "0.05", "min": "0", "max": "2"}),
        help_text=_("Low is steady, high is surprising. Empty: the model's own."),
    )
    visibility = forms.ChoiceField(
        label=_("Who may find them"),
        choices=(
            (Persona.Visibility.PRIVATE, _("Only me")),
            (Persona.Visibility.UNLISTED, _("Anyone with the link")),
            (Persona.Visibility.PUBLIC, _("Everybody")),
        ),
        initial=Persona.Visibility.PRIVATE,
        widget=forms.RadioSelect,
    )
    # Carried by the button that sends the form.
    status = forms.ChoiceField(choices=Persona.Status, required=False, widget=forms.HiddenInput)
    allow_clone = forms.BooleanField(label=_("Others may copy and export them"), required=False, initial=True)

    def __init__(self, *args: Any, persona: Persona | None = None, **kwargs: Any) -> None:
        if persona is not None:
            kwargs["initial"] = {**_initial_of(persona), **kwargs.get("initial", {})}
        super().__init__(*args, **kwargs)
        categories = [(category.slug, _(category.name)) for category in selectors.list_categories()]
        self._choices("category", [("", _("None")), *categories])
        models = [(model.slug, model.display_name) for model in ai.list_models()]
        self._choices("model", [("", _("The default one")), *models])
        self._keep_choice("language", persona.language if persona else "")
        self._keep_choice("model", persona.model if persona else "")

    def clean_status(self) -> str:
        """Without a button (a press of Enter in some browsers) it stays as it is."""
        return str(self.cleaned_data["status"] or self.initial.get("status", Persona.Status.PUBLISHED))

    def persona_fields(self, *, only_changed: bool) -> PersonaFields:
        """The values for the service, all of them or those that were changed."""
        names = self.changed_data if only_changed else self.cleaned_data.keys()
        fields: Any = {
            name: self.cleaned_data[name] for name in names if name not in ("portrait", "remove_portrait")
        }
        return fields

    def add_domain_error(self, error: DomainError) -> None:
        """Show what the service refused beside the field it is about."""
        for problem in error.fields:
            field = "portrait" if problem.field == "file" else problem.field
            self.add_error(field if field in self.fields else None, problem.detail)
        if not error.fields:
            self.add_error(None, str(error.detail))

    def _choices(self, name: str, choices: list[tuple[str, Any]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices

    def _keep_choice(self, name: str, value: str) -> None:
        """What an import or an older catalogue brought stays selectable."""
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        choices: list[Any] = list(field.choices)  # type: ignore[arg-type]
        if value and value not in dict(choices):
            field.choices = [*choices, (value, value)]


class LoreEntryForm(forms.Form):
    """One entry of a lorebook; what a card brought beside these fields stays with it."""

    name = forms.CharField(label=_("Title"), required=False, max_length=200)
    keys = forms.CharField(
        label=_("Words that bring it up"),
        required=False,
        max_length=2000,
        help_text=_("Separated by commas; in any case."),
    )
    content = LongTextField(
        label=_("What the persona then knows"),
        rows=4,
        help_text=_("Enters the prompt when one of the words comes up."),
    )
    constant = forms.BooleanField(label=_("Always known, whatever is said"), required=False)
    enabled = forms.BooleanField(label=_("In use"), required=False, initial=True)

    def clean_keys(self) -> list[str]:
        return [key.strip() for key in self.cleaned_data["keys"].split(",") if key.strip()]

    def add_domain_error(self, error: DomainError) -> None:
        for problem in error.fields:
            field = problem.field.rpartition(".")[2]
            self.add_error(field if field in self.fields else None, problem.detail)
        if not error.fields:
            self.add_error(None, str(error.detail))


class CardImportForm(forms.Form):
    file = forms.FileField(
        label=_("Character card"),
        help_text=_("A PNG or JSON file of version 1, 2 or 3."),
        widget=forms.FileInput(attrs={"accept": ".png,.json,image/png,application/json"}),
    )


class SearchForm(forms.Form):
    q = forms.CharField(
        label=_("Search"),
        required=False,
        max_length=200,
        widget=forms.TextInput(
            attrs={"type": "search", "placeholder": _("Who would you like to talk with?")}
        ),
    )
    category = forms.ChoiceField(label=_("Category"), required=False)
    tag = forms.CharField(label=_("Tag"), required=False, max_length=40)
    rating = forms.ChoiceField(
        label=_("Rating"), required=False, choices=(("", _("Any rating")), *Persona.Rating.choices)
    )
    language = forms.ChoiceField(
        label=_("Language"), required=False, choices=(("", _("Any language")), *LANGUAGES)
    )
    sort = forms.ChoiceField(label=_("Order"), required=False, choices=SORTS)

    def __init__(self, data: Mapping[str, Any], categories: Sequence[Any]) -> None:
        super().__init__(data)
        field = self.fields["category"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("All")), *((category.slug, _(category.name)) for category in categories)]

    def chosen(self) -> selectors.PersonaFilter:
        """The filters that make sense; a link with a wrong one shows the rest."""
        self.is_valid()
        cleaned = self.cleaned_data
        tag = cleaned.get("tag", "").strip().casefold()
        return selectors.PersonaFilter(
            query=cleaned.get("q", ""),
            tags=(tag,) if tag else (),
            category=cleaned.get("category", ""),
            rating=cleaned.get("rating", ""),
            language=cleaned.get("language", ""),
        )


def _initial_of(persona: Persona) -> dict[str, Any]:
    names = ("name", "tagline", *LONG_TEXTS, "alternate_greetings", "tags", "language", "rating", "model")
    return {
        **{name: getattr(persona, name) for name in names},
        "category": persona.category_id or "",
        "temperature": persona.temperature,
        "visibility": persona.visibility,
        "status": persona.status,
        "allow_clone": persona.allow_clone,
    }
