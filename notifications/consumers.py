"""`/ws/me/`: what concerns the user wherever they are."""

from typing import Any

from django.utils.translation import gettext as _

from accounts.models import user_group
from accounts.sockets import Malformed, Socket

_PASSED_ON = frozenset({"notification.created", "wallet.changed", "analysis.changed"})


class MeConsumer(Socket):
    def groups(self) -> list[str]:
        return [user_group(self.user.pk)]

    async def on_frame(self, frame: dict[str, Any]) -> None:
        if frame.get("type") != "ping":
            raise Malformed(_("There is no such type."))
        await self.send_event({"type": "pong"})

    async def on_signal(self, event: dict[str, Any]) -> None:
        if event["type"] in _PASSED_ON:
            await self.send_event(event)
