from django.urls import path

from billing.api import usage, views

app_name = "billing"

urlpatterns = [
    path("wallet/", views.WalletView.as_view(), name="wallet"),
    path("wallet/transactions/", views.TransactionListView.as_view(), name="transaction-list"),
    path("billing/catalog/", views.CatalogView.as_view(), name="catalog"),
    path("usage/current/", views.CurrentUsageView.as_view(), name="usage-current"),
    path("usage/history/", usage.UsageHistoryView.as_view(), name="usage-history"),
    path("usage/analytics/", usage.UsageAnalyticsView.as_view(), name="usage-analytics"),
    path("usage/prediction/", usage.UsagePredictionView.as_view(), name="usage-prediction"),
    path("usage/export/", usage.UsageExportListView.as_view(), name="usage-export-list"),
    path("usage/export/<uuid:export_id>/", usage.UsageExportDetailView.as_view(), name="usage-export-detail"),
]
