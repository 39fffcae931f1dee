from django.urls import path

from accounts.api import views

app_name = "accounts"

urlpatterns = [
    path("me/", views.MeView.as_view(), name="me"),
    path("ws-ticket/", views.SocketTicketView.as_view(), name="ws-ticket"),
]
