from django.urls import path

from chat.views import messages, pages, sessions

app_name = "chat"

urlpatterns = [
    path("personas/<slug:slug>/talk/", pages.start, name="start"),
    path("chat/", pages.session_list, name="session-list"),
    path("chat/<uuid:session_id>/", pages.session_detail, name="session-detail"),
    path("chat/<uuid:session_id>/thread/", pages.thread, name="session-thread"),
    path("chat/<uuid:session_id>/older/", pages.older_messages, name="older-messages"),
    path("chat/<uuid:session_id>/send/", messages.message_send, name="message-send"),
    path("chat/<uuid:session_id>/stop/", messages.generation_stop, name="generation-stop"),
    path("chat/<uuid:session_id>/change/", sessions.session_change, name="session-change"),
    path("chat/<uuid:session_id>/delete/", sessions.session_delete, name="session-delete"),
    path("chat/<uuid:session_id>/restore/", sessions.session_restore, name="session-restore"),
    path("chat/<uuid:session_id>/export/<slug:file_format>/", pages.session_export, name="session-export"),
    path("chat/messages/<uuid:message_id>/", pages.message_partial, name="message-partial"),
    path("chat/messages/<uuid:message_id>/receipt/", pages.message_receipt, name="message-receipt"),
    path("chat/messages/<uuid:message_id>/<slug:action>/", messages.message_act, name="message-act"),
]
