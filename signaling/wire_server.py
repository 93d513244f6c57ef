"""The Socket.IO server as a stranger on the other side meets it: no name they send is one of the library's own.

Which events there are is `table.py`; what each does, the namespaces.
"""

from __future__ import annotations

from typing import Any

import socketio

OURS_ALONE = frozenset({"connect", "disconnect", "*"})
"""What handlers are registered under: a client's event of this name would run them with whatever it sends."""
NO_EVENT = "no event"


class WireServer(socketio.AsyncServer):  # type: ignore[misc]  # the library has no types
    """Overrides one private method of python-socketio, the last before a name chooses its handler."""

    async def _handle_event_internal(self, server: object, sid: str, eio_sid: str, data: list[Any], *rest: Any) -> None:
        name = data[0]
        if not isinstance(name, str) or name in OURS_ALONE:
            data = [NO_EVENT, *data[1:]]
        await super()._handle_event_internal(server, sid, eio_sid, data, *rest)
