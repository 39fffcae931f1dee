from django.urls import path, re_path

from chat.openai import views

app_name = "openai"

urlpatterns = [
    path("models", views.ModelListView.as_view(), name="model-list"),
    path("models/<slug:slug>", views.ModelDetailView.as_view(), name="model-detail"),
    re_path("", views.UnknownView.as_view()),
]
