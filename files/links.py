"""Short-lived addresses of private files. The signature says what, until when, and for whom."""

from uuid import UUID

from django.core import signing
from django.urls import reverse

from common.errors import NotFound
from files.models import File

LIFETIME_SECONDS = 300
_SALT = "files.links"


def sign_url(file: File, part: str = "key") -> str:
    """A path that shows `part` (key or thumbnail_key) of the file to its owner for five minutes."""
    token = signing.dumps([str(file.id), str(file.owner_id), part], salt=_SALT)
    return reverse("files:private-file", args=[token])


def read_token(token: str, user_id: UUID) -> tuple[str, str]:
    """The file's id and the part a token was made for. Raises NotFound unless it is this user's and fresh."""
    try:
        file_id, owner_id, part = signing.loads(token, salt=_SALT, max_age=LIFETIME_SECONDS)
    except (signing.BadSignature, ValueError, TypeError):
        raise NotFound from None
    if owner_id != str(user_id):
        raise NotFound
    return file_id, part
