from django.urls import path

from billing.api import views

app_name = "billing"

urlpatterns = [
    path("wallet/", views.WalletView.as_view(), name="wallet"),
    path("wallet/transactions/", views.TransactionListView.as_view(), name="transaction-list"),
    path("billing/catalog/", views.CatalogView.as_view(), name="catalog"),
    path("usage/current/", views.CurrentUsageView.as_view(), name="usage-current"),
]
