"""What can be in the way of a conversation."""

from django.utils.translation import gettext_lazy as _

from common.errors import Conflict, DomainError, RateLimited


class ReplyInProgress(Conflict):
    title = _("A reply is still being written in this chat")


class ConversationMoved(Conflict):
    title = _("The conversation has moved on; look again")


class PersonaGone(Conflict):
    title = _("This persona no longer talks; what was said can still be read")


class CannotContinue(Conflict):
    title = _("Only the last reply of a branch can be continued")


class ClientIdReused(DomainError):
    code = "idempotency_key_reused"
    title = _("This client_id was used for something else")


class TooManyUnpaidReplies(RateLimited):
    title = _("Too many replies were broken off unpaid; please wait a little")
