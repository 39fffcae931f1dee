from django.urls import path

from personas.views import lorebooks, personas

app_name = "personas"

urlpatterns = [
    path("", personas.home, name="home"),
    path("portraits/<slug:code>/<slug:size>.webp", personas.monogram, name="monogram"),
    path("personas/create/", personas.persona_create, name="persona-create"),
    path("personas/import/", personas.persona_import, name="persona-import"),
    path("personas/mine/", personas.persona_list, name="persona-list"),
    path("personas/preview/", personas.persona_preview, name="persona-preview"),
    path("personas/<slug:slug>/", personas.persona_detail, name="persona-detail"),
    path("personas/<slug:slug>/edit/", personas.persona_edit, name="persona-edit"),
    path("personas/<slug:slug>/lorebook/", lorebooks.lorebook, name="lorebook"),
    path("personas/<slug:slug>/lorebook/<int:index>/", lorebooks.lore_entry, name="lore-entry"),
    path(
        "personas/<slug:slug>/lorebook/<int:index>/delete/",
        lorebooks.lore_entry_delete,
        name="lore-entry-delete",
    ),
    path("personas/<slug:slug>/delete/", personas.persona_delete, name="persona-delete"),
    path("personas/<slug:slug>/restore/", personas.persona_restore, name="persona-restore"),
    path("personas/<slug:slug>/clone/", personas.persona_clone, name="persona-clone"),
    path("personas/<slug:slug>/like/", personas.persona_like, name="persona-like"),
    path("personas/<slug:slug>/favorite/", personas.persona_favorite, name="persona-favorite"),
    path("personas/<slug:slug>/export/<slug:file_format>/", personas.persona_export, name="persona-export"),
]
