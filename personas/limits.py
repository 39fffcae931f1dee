"""How long the parts of a persona may be; the database checks the same numbers."""

NAME_MAX = 100
TAGLINE_MAX = 200
TEXT_MAX = 50_000
TAG_MAX = 40
TAGS_MAX = 20
GREETINGS_MAX = 50
