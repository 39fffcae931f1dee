from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView

from config.api_docs import RedocView, SwaggerView

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SwaggerView.as_view(), name="docs"),
    path("redoc/", RedocView.as_view(), name="redoc"),
    path("", include("accounts.api.urls")),
    path("", include("files.api.urls")),
    path("", include("billing.api.urls")),
    path("", include("personas.api.urls")),
    path("", include("chat.api.urls")),
]
