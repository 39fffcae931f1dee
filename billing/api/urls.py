from django.urls import path

from billing.api import google_play, shop, subscription, usage, views

app_name = "billing"

urlpatterns = [
    path("wallet/", views.WalletView.as_view(), name="wallet"),
    path("wallet/transactions/", views.TransactionListView.as_view(), name="transaction-list"),
    path("wallet/limits/", views.OwnLimitsView.as_view(), name="own-limits"),
    path("wallet/redeem/", views.RedeemView.as_view(), name="redeem"),
    path("billing/catalog/", views.CatalogView.as_view(), name="catalog"),
    path("billing/checkout/", shop.CheckoutView.as_view(), name="checkout"),
    path("billing/payment-intents/", shop.PaymentIntentView.as_view(), name="payment-intent"),
    path("billing/portal/", shop.PortalView.as_view(), name="portal"),
    path("billing/invoices/", shop.InvoiceListView.as_view(), name="invoice-list"),
    path("billing/payments/<uuid:payment_id>/", shop.PaymentDetailView.as_view(), name="payment-detail"),
    path("subscription/", subscription.SubscriptionView.as_view(), name="subscription"),
    path("subscription/history/", subscription.HistoryView.as_view(), name="subscription-history"),
    path("subscription/plans/", subscription.PlanListView.as_view(), name="subscription-plans"),
    path("subscription/preview/", subscription.PreviewView.as_view(), name="subscription-preview"),
    path("subscription/change/", subscription.ChangeView.as_view(), name="subscription-change"),
    path("subscription/cancel/", subscription.CancelView.as_view(), name="subscription-cancel"),
    path("subscription/resume/", subscription.ResumeView.as_view(), name="subscription-resume"),
    path("subscription/verify/", google_play.VerifyPurchaseView.as_view(), name="subscription-verify"),
    path("usage/current/", views.CurrentUsageView.as_view(), name="usage-current"),
    path("usage/history/", usage.UsageHistoryView.as_view(), name="usage-history"),
    path("usage/analytics/", usage.UsageAnalyticsView.as_view(), name="usage-analytics"),
    path("usage/prediction/", usage.UsagePredictionView.as_view(), name="usage-prediction"),
    path("usage/export/", usage.UsageExportListView.as_view(), name="usage-export-list"),
    path("usage/export/<uuid:export_id>/", usage.UsageExportDetailView.as_view(), name="usage-export-detail"),
]
