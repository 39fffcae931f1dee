from django.urls import path

from chat import views

app_name = "chat"

urlpatterns = [
    path("personas/<slug:slug>/talk/", views.start, name="start"),
    path("chat/", views.session_list, name="session-list"),
    path("chat/<uuid:session_id>/", views.session_detail, name="session-detail"),
    path("chat/<uuid:session_id>/older/", views.older_messages, name="older-messages"),
    path("chat/<uuid:session_id>/send/", views.message_send, name="message-send"),
    path("chat/<uuid:session_id>/stop/", views.generation_stop, name="generation-stop"),
    path("chat/<uuid:session_id>/change/", views.session_change, name="session-change"),
    path("chat/<uuid:session_id>/delete/", views.session_delete, name="session-delete"),
    path("chat/<uuid:session_id>/restore/", views.session_restore, name="session-restore"),
    path("chat/<uuid:session_id>/export/<slug:file_format>/", views.session_export, name="session-export"),
    path("chat/messages/<uuid:message_id>/", views.message_partial, name="message-partial"),
    path("chat/messages/<uuid:message_id>/receipt/", views.message_receipt, name="message-receipt"),
    path("chat/messages/<uuid:message_id>/<slug:action>/", views.message_act, name="message-act"),
]
