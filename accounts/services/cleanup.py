from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef
from django.utils import timezone

from accounts.models import SocketTicket, TokenFamily
from accounts.services import phone_numbers, texts


def delete_expired_rows() -> None:
    """Delete sessions, token chains, devices, tickets, texts and unfinished sign-ups whose time is over."""
    now = timezone.now()
    Session.objects.filter(expire_date__lt=now).delete()
    TokenFamily.objects.filter(expires_at__lt=now).delete()
    SocketTicket.objects.filter(expires_at__lt=now).delete()
    UserSession.objects.filter(~Exists(Session.objects.filter(session_key=OuterRef("session_key")))).delete()
    texts.delete_old_texts()
    phone_numbers.delete_abandoned()
