from django.urls import path

from billing import views
from billing.api import sandbox, webhooks

app_name = "billing"

urlpatterns = [
    path("webhooks/stripe/", webhooks.stripe, name="stripe-webhook"),
    path("sandbox/<path:path>", sandbox.page, name="sandbox-page"),
    path("wallet/", views.wallet, name="wallet"),
    path("wallet/bought/", views.wallet, name="bought"),
    path("wallet/plan/", views.wallet, name="plan"),
    path("wallet/usage/", views.usage, name="usage"),
    path("wallet/usage/export/", views.usage_export_request, name="usage-export-request"),
    path("wallet/usage/export/<str:token>/", views.usage_export_download, name="usage-export-download"),
]
