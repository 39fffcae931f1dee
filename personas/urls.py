from django.urls import path

from personas import views

app_name = "personas"

urlpatterns = [
    path("", views.home, name="home"),
    path("portraits/<slug:code>/<slug:size>.webp", views.monogram, name="monogram"),
    path("personas/create/", views.persona_create, name="persona-create"),
    path("personas/import/", views.persona_import, name="persona-import"),
    path("personas/mine/", views.persona_list, name="persona-list"),
    path("personas/preview/", views.persona_preview, name="persona-preview"),
    path("personas/<slug:slug>/", views.persona_detail, name="persona-detail"),
    path("personas/<slug:slug>/edit/", views.persona_edit, name="persona-edit"),
    path("personas/<slug:slug>/delete/", views.persona_delete, name="persona-delete"),
    path("personas/<slug:slug>/restore/", views.persona_restore, name="persona-restore"),
    path("personas/<slug:slug>/clone/", views.persona_clone, name="persona-clone"),
    path("personas/<slug:slug>/like/", views.persona_like, name="persona-like"),
    path("personas/<slug:slug>/favorite/", views.persona_favorite, name="persona-favorite"),
    path("personas/<slug:slug>/export/<slug:file_format>/", views.persona_export, name="persona-export"),
]
