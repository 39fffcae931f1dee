from django.urls import path

from chat.api import views

app_name = "chat"

urlpatterns = [
    path("chat/sessions/", views.SessionListView.as_view(), name="session-list"),
    path("chat/sessions/<uuid:session_id>/", views.SessionDetailView.as_view(), name="session-detail"),
    path(
        "chat/sessions/<uuid:session_id>/restore/", views.SessionRestoreView.as_view(), name="session-restore"
    ),
    path("chat/sessions/<uuid:session_id>/export/", views.SessionExportView.as_view(), name="session-export"),
    path("chat/sessions/<uuid:session_id>/messages/", views.MessageListView.as_view(), name="message-list"),
    path("chat/messages/<uuid:message_id>/", views.MessageDetailView.as_view(), name="message-detail"),
    path("chat/messages/<uuid:message_id>/regenerate/", views.RegenerateView.as_view(), name="regenerate"),
    path("chat/messages/<uuid:message_id>/edit/", views.EditView.as_view(), name="edit"),
    path("chat/messages/<uuid:message_id>/continue/", views.ContinueView.as_view(), name="continue"),
    path("chat/messages/<uuid:message_id>/select/", views.SelectView.as_view(), name="select"),
    path("chat/messages/<uuid:message_id>/feedback/", views.FeedbackView.as_view(), name="feedback"),
    path(
        "chat/generations/<uuid:generation_id>/",
        views.GenerationDetailView.as_view(),
        name="generation-detail",
    ),
    path(
        "chat/generations/<uuid:generation_id>/stop/",
        views.GenerationStopView.as_view(),
        name="generation-stop",
    ),
    path(
        "chat/generations/<uuid:generation_id>/events/",
        views.GenerationEventsView.as_view(),
        name="generation-events",
    ),
    path("chat/search/", views.SearchView.as_view(), name="search"),
]
