"""API clients that signed in the way a mobile app does."""

from typing import Any

from django.test import Client
from rest_framework.test import APIClient

PASSWORD = "parlor-test-1"


def access_token(user: Any, password: str = PASSWORD) -> str:
    """An access token from the real sign-in endpoint."""
    response = Client().post(
        "/_allauth/app/v1/auth/login",
        {"email": user.email, "password": password},
        content_type="application/json",
    )
    assert response.status_code == 200, response.content
    return str(response.json()["meta"]["access_token"])


def make_api_client(user: Any = None) -> APIClient:
    client = APIClient()
    if user is not None:
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {access_token(user)}")
    return client
