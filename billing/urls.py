from django.urls import path

from billing.api import app_store, google_play, sandbox, webhooks
from billing.views import plan, receipts, shop, usage, wallet

app_name = "billing"

urlpatterns = [
    path("webhooks/stripe/", webhooks.stripe, name="stripe-webhook"),
    path("webhooks/google-play/", google_play.push, name="google-play-webhook"),
    path("webhooks/app-store/", app_store.notify, name="app-store-webhook"),
    path("sandbox/<path:path>", sandbox.page, name="sandbox-page"),
    path("pricing/", shop.pricing, name="pricing"),
    path("what-you-pay-for/", shop.policy, name="policy"),
    path("wallet/", wallet.wallet, name="wallet"),
    path("wallet/redeem/", wallet.redeem, name="redeem"),
    path("wallet/limits/", wallet.limits, name="limits"),
    path("wallet/buy/", shop.buy, name="buy"),
    path("wallet/bought/", shop.bought, name="bought"),
    path("wallet/plan/", plan.plan, name="plan"),
    path("wallet/plan/change/", plan.plan_change, name="plan-change"),
    path("wallet/plan/cancel/", plan.plan_cancel, name="plan-cancel"),
    path("wallet/plan/resume/", plan.plan_resume, name="plan-resume"),
    path("wallet/portal/", plan.portal, name="portal"),
    path("wallet/receipts/", receipts.receipt_list, name="receipt-list"),
    path("wallet/receipts/<uuid:payment_id>/", receipts.receipt, name="receipt"),
    path("wallet/receipts/<uuid:payment_id>/receipt.pdf", receipts.receipt_pdf, name="receipt-pdf"),
    path("wallet/usage/", usage.usage, name="usage"),
    path("wallet/usage/export/", usage.usage_export_request, name="usage-export-request"),
    path("wallet/usage/export/<str:token>/", usage.usage_export_download, name="usage-export-download"),
]
