"""What the scripts of the chat page say."""

from django.utils.translation import gettext as _


def page_words(name: str) -> dict[str, str]:
    """The texts by their names in the scripts; `{…}` is filled in there. `name` is the persona's."""
    who = {"name": name}
    return {
        "writing": _("%(name)s is writing…") % who,
        "answers": _("%(name)s answers") % who,
        "finished": _("%(name)s has finished.") % who,
        "waitForReply": _("%(name)s is still writing. Escape stops the reply.") % who,
        "connecting": _("Reconnecting…"),
        "offline": _("You are offline. What you write is kept and sent when you are back."),
        "slow": _("Live connection is not possible here; replies come a little slower."),
        "signedOut": _("You are signed out. Your words are kept in this browser."),
        "signIn": _("Sign in"),
        "gone": _("This chat is no longer there."),
        "tooManyTabs": _("This chat is open in too many places; some have to wait."),
        "sending": _("Sending…"),
        "waiting": _("Waiting to be sent"),
        "notSent": _("Not sent"),
        "sendAgain": _("Send again"),
        "takeBack": _("Take back"),
        "wait": _("You can send again in {seconds} s."),
        "failed": _("That did not work. Nothing is lost; please try again."),
        "tooLong": _("{count} characters too many"),
        "copied": _("Copied"),
        "copyCode": _("Copy the code"),
        "copyFailed": _("The browser did not allow copying."),
        "editing": _("Reword your message"),
        "editHelp": _("Sends it again as a new branch; the old one stays."),
        "save": _("Send"),
        "cancel": _("Cancel"),
        "delete": _("Delete"),
        "deleted": _("“{title}” is deleted."),
        "undo": _("Undo"),
        "archived": _("“{title}” is archived."),
        "rename": _("New name of the chat"),
        "today": _("Today"),
        "yesterday": _("Yesterday"),
        "limitReached": _("You have sent all of today's {limit} messages."),
    }
