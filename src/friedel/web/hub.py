"""The viewers of the page: each gets the latest parts that changed since it was last served, at its own pace.

There is no queue. A slow viewer skips what it missed, and one that takes nothing at all is dropped; none of them is
ever waited for by the others, let alone by the data path.
"""

import asyncio
import json
import time
from typing import Any

from aiohttp import WSMsgType, web

from friedel.stream.display import Board, Control
from friedel.web.messages import joined, parts_of
from friedel.web.options import ServeOptions

_POLL_S = 0.05  # s between two looks at the board; snapshots come a few times a second
_PICTURES = ("gallery", "powder")
_FIGURES = ("state", "rates")
# s between two sets of pictures: they are nine tenths of the bytes.
_PICTURES_S = 1.0


class Hub:
    """Reads the latest snapshot, and serves it to all viewers.

    Parameters
    ----------
    boards : (Board, Board)
        Where snapshots are read, and where is written what is asked for.
    options : ServeOptions
        Pace, patience and how many may look.
    """

    def __init__(self, boards: tuple[Board, Board], options: ServeOptions) -> None:
        self._shown, self._asked = boards
        self._options = options
        self._parts: dict[str, str] = {}
        self._changed = asyncio.Condition()
        self._control = Control()
        self.viewers = 0
        self.dropped = 0

    async def read(self) -> None:
        """Take up snapshots as they come, for ever; none while there is no viewer."""
        while True:
            if self.viewers:
                await self._take_up()
            await asyncio.sleep(_POLL_S)

    async def state(self) -> dict[str, Any]:
        """Return the latest snapshot's state and rates, or nothing while there is none."""
        await self._take_up()
        found: dict[str, Any] = {name: json.loads(text) for name, text in self._parts.items() if name in _FIGURES}
        return found

    async def _take_up(self) -> None:
        text = self._shown.read()
        if text is not None:
            self._parts = await asyncio.to_thread(parts_of, text)
            async with self._changed:
                self._changed.notify_all()

    async def serve(self, socket: web.WebSocketResponse) -> None:
        """Show a viewer everything there is, then whatever changes, until it leaves or takes nothing more."""
        self.viewers += 1
        hearing = asyncio.create_task(self._hear(socket))
        try:
            await self._tell(socket, hearing)
        except (TimeoutError, ConnectionError):
            self.dropped += 1
            _cut_off(socket)
        finally:
            hearing.cancel()
            self.viewers -= 1

    async def _tell(self, socket: web.WebSocketResponse, hearing: asyncio.Task[None]) -> None:
        sent: dict[str, str] = {}
        pictures_due = 0.0
        while not (socket.closed or hearing.done()):
            now, clock = self._parts, time.monotonic()
            held = () if clock >= pictures_due else _PICTURES
            new = {name: text for name, text in now.items() if sent.get(name) != text and name not in held}
            if new:
                await asyncio.wait_for(socket.send_str(joined(new)), self._options.patience_s)
                sent |= new
            if not new.keys().isdisjoint(_PICTURES):
                pictures_due = clock + _PICTURES_S
            await asyncio.sleep(1 / self._options.updates_per_s)
            await self._news(now, hearing)

    async def _news(self, known: dict[str, str], hearing: asyncio.Task[None]) -> None:
        while self._parts is known and not hearing.done():
            async with self._changed:
                try:
                    await asyncio.wait_for(self._changed.wait(), 1.0)
                except TimeoutError:
                    continue

    async def _hear(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                self._obey(message.data)

    def _obey(self, text: str) -> None:
        """Take up what a viewer asks for; malformed requests are ignored."""
        try:
            asked: dict[str, Any] = json.loads(text)
            self._control = Control.from_dict(self._control.as_dict() | asked)
        except (ValueError, TypeError):
            return
        self._asked.write(json.dumps(self._control.as_dict()))


def _cut_off(socket: web.WebSocketResponse) -> None:
    """Close a connection without the closing handshake, which its other end would have to read."""
    transport = socket._req.transport if socket._req is not None else None
    if transport is not None:
        transport.abort()
