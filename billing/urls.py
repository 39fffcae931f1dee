from django.urls import path

from billing import views

app_name = "billing"

urlpatterns = [
    path("wallet/", views.wallet, name="wallet"),
]
