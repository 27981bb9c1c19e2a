"""The page's process: started beside a watch, told where to look, stopped with it. The watch never waits for it.

A page whose process dies is started again on the same port, a few times; the watch goes on in any case.
"""

import asyncio
import os
import socket
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from friedel.core.errors import InputError, MissingDependencyError
from friedel.stream.display import Board
from friedel.stream.processes import Ready, Supervised, spawn
from friedel.web.access import is_loopback, new_token
from friedel.web.options import ServeOptions

_START_S = 60.0  # s to load and listen: 0.23 s of CPU time, but far longer on a busy machine or a cold network disk
_LEAVE_S = 3.0  # s for the process to close its connections before it is killed
_DEATHS = 5  # restarts in all: a page that dies each time has a fault that a sixth start wouldn't mend
# Where cores are few, scoring goes before looking.
_YIELDING = 15


class Page:
    """A running page; a context manager that stops it.

    Parameters
    ----------
    names : (str, str)
        Of the display to show (`friedel.stream.display.Display.names`), which this process made.
    options : ServeOptions, optional
        Address, port and token.
    folder : Path, optional
        The run's folder, whose reports the page links to.

    Raises
    ------
    InputError
        If the address or the port can't be had.
    MissingDependencyError
        If the server's library isn't installed.
    """

    def __init__(
        self, names: tuple[str, str], options: ServeOptions | None = None, *, folder: Path | None = None
    ) -> None:
        require_server()
        self.options = with_token(options or ServeOptions())
        self._names, self._folder = names, folder
        # Kept open here, so that the port stays this page's when its process has to be started again.
        self._listening = listening_at(self.options)
        self.port: int = self._listening.getsockname()[1]
        self._stopping, self._deaths, self._lock = False, 0, threading.Lock()
        self._process: Supervised | None = None
        self._process = process = self._started()
        if not isinstance(process.wait(_START_S), Ready):
            self.stop()
            raise InputError("the page's server didn't start; run with --debug, or leave out --serve")

    @property
    def url(self) -> str:
        """What to open in a browser; with the token, where one is needed."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        token = "" if self.options.token is None else f"?token={self.options.token}"
        return f"http://{host}:{self.port}/{token}"

    @property
    def alive(self) -> bool:
        """Whether it is being served."""
        return self._process is not None and not self._process.gone

    @property
    def pid(self) -> int | None:
        """The process's id."""
        return None if self._process is None else self._process.pid

    def stop(self) -> None:
        """End it; safe to call twice."""
        with self._lock:
            self._stopping = True
            process = self._process
        if process is not None:
            process.stop(_LEAVE_S)
        self._listening.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _started(self) -> Supervised:
        return spawn(
            run_page, self._names, self.options, self._folder, self._listening, name="friedel page", wake=self._look
        )  # fmt: skip

    def _look(self) -> None:
        """Start the process again if it is gone; called by the thread that listens to it."""
        if self._process is not None and not self.alive:
            threading.Thread(target=self._again, daemon=True).start()

    def _again(self) -> None:
        with self._lock:
            dead, self._deaths = self._process, self._deaths + 1
            if self._stopping or dead is None or not dead.gone or self._deaths > _DEATHS:
                return
            self._process = self._started()
        dead.stop(0.0)


def run_page(
    orders: Connection, names: tuple[str, str], options: ServeOptions, folder: Path | None, listening: socket.socket
) -> None:
    """Serve the page until the pipe closes: what the process runs.

    Parameters
    ----------
    orders : Connection
        Gets `Ready` once browsers may come; nothing comes from it but its end.
    names, options, folder
        As for `Page`.
    listening : socket
        Where browsers come in.
    """
    from aiohttp import web

    from friedel.web.server import make_app

    if hasattr(os, "nice"):
        os.nice(_YIELDING)
    boards = Board(names[0]), Board(names[1])

    async def serve() -> None:
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(orders.fileno(), over.set)
        runner = web.AppRunner(make_app(boards, options, folder), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening, shutdown_timeout=1.0).start()
        orders.send(Ready())
        await over.wait()
        await runner.cleanup()

    asyncio.run(serve())


def require_server() -> None:
    """Fail with the install line where the server's library is missing."""
    from importlib.util import find_spec

    if find_spec("aiohttp") is None:
        raise MissingDependencyError("aiohttp", "web", "serve the page")


def with_token(options: ServeOptions) -> ServeOptions:
    """Return options with the token that they need: none on loopback, a drawn one elsewhere unless given."""
    if is_loopback(options.host):
        return options.model_copy(update={"token": None})
    return options if options.token else options.model_copy(update={"token": new_token()})


def listening_at(options: ServeOptions) -> socket.socket:
    """Return a socket that listens where the options say.

    Raises
    ------
    InputError
        If the address or the port can't be had.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((options.host, options.port))
        opened.listen(64)
    except OSError as error:
        opened.close()
        reason = error.strerror or str(error)
        raise InputError(
            f"can't serve the page at {options.host}:{options.port} ({reason}); choose another port with --port, "
            "0 for any that is free"
        ) from None
    return opened
