from django.urls import path

from personas.api import views

app_name = "personas"

urlpatterns = [
    path("personas/", views.PersonaListView.as_view(), name="persona-list"),
    path("personas/trending/", views.TrendingView.as_view(), name="trending"),
    path("personas/search/", views.SearchView.as_view(), name="search"),
    path("personas/import/", views.ImportView.as_view(), name="import"),
    path("personas/<uuid:persona_id>/", views.PersonaDetailView.as_view(), name="persona-detail"),
    path("personas/<uuid:persona_id>/clone/", views.CloneView.as_view(), name="clone"),
    path("personas/<uuid:persona_id>/like/", views.LikeView.as_view(), name="like"),
    path("personas/<uuid:persona_id>/favorite/", views.FavoriteView.as_view(), name="favorite"),
    path("personas/<uuid:persona_id>/export/", views.ExportView.as_view(), name="export"),
    path("personas/<uuid:persona_id>/lorebook/", views.LorebookView.as_view(), name="lorebook"),
    path("personas/<uuid:persona_id>/avatar/", views.AvatarView.as_view(), name="avatar"),
]
