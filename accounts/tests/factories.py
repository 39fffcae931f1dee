from typing import Any
from uuid import uuid4

from allauth.account.models import EmailAddress

from accounts.models import User

PASSWORD = "parlor-test-1"


def make_user(
    email: str | None = "",
    password: str = PASSWORD,
    verified: bool = True,
    staff: bool = False,
    superuser: bool = False,
    **fields: Any,
) -> User:
    """A signed-up user; without `email` a unique address is made up, with None there is none."""
    if email == "":
        email = f"user-{uuid4().hex[:12]}@example.com"
    user = User.objects.create_user(
        email, password, is_staff=staff or superuser, is_superuser=superuser, **fields
    )
    if user.email:
        EmailAddress.objects.create(user=user, email=user.email, verified=verified, primary=True)
    return user
