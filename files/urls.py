from django.urls import path

from files import views

app_name = "files"

urlpatterns = [path("media/<path:key>", views.public_file, name="public-file")]
