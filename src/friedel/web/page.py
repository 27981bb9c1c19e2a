"""The page's process: started beside a watch, told where to look, stopped with it. The watch never waits for it."""

import asyncio
import os
import signal
import socket
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from friedel.core.errors import InputError, MissingDependencyError
from friedel.core.machine.processes import end_process
from friedel.stream.display import Board
from friedel.web.access import is_loopback, new_token
from friedel.web.options import ServeOptions

_START_S = 60.0
_LEAVE_S = 3.0
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
        _require_server()
        self.options = _with_token(options or ServeOptions())
        listening = _listening(self.options)
        self.port: int = listening.getsockname()[1]
        context = get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        self._process = context.Process(
            target=run_page, args=(names, self.options, folder, listening, theirs), daemon=True
        )
        self._process.start()
        theirs.close()
        listening.close()
        self._wait(ours)

    @property
    def url(self) -> str:
        """What to open in a browser; with the token, where one is needed."""
        host = f"[{self.options.host}]" if ":" in self.options.host else self.options.host
        token = "" if self.options.token is None else f"?token={self.options.token}"
        return f"http://{host}:{self.port}/{token}"

    @property
    def alive(self) -> bool:
        """Whether it is being served."""
        return self._process.is_alive()

    def stop(self) -> None:
        """End it; safe to call twice."""
        end_process(self._process, _LEAVE_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _wait(self, ours: Connection) -> None:
        try:
            if not ours.poll(_START_S):
                raise EOFError
            ours.recv()
        except EOFError:
            self.stop()
            raise InputError("the page's server didn't start; run with --debug, or leave out --serve") from None
        finally:
            ours.close()


def run_page(
    names: tuple[str, str], options: ServeOptions, folder: Path | None, listening: socket.socket, ready: Connection
) -> None:
    """Serve the page until the process is ended: what the process runs.

    Parameters
    ----------
    names, options, folder
        As for `Page`.
    listening : socket
        Where browsers come in.
    ready : Connection
        Gets one word once they may.
    """
    from aiohttp import web

    from friedel.web.server import make_app

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the watch, which then ends this process
    if hasattr(os, "nice"):
        os.nice(_YIELDING)
    boards = Board(names[0]), Board(names[1])

    async def serve() -> None:
        runner = web.AppRunner(make_app(boards, options, folder), access_log=None)
        await runner.setup()
        await web.SockSite(runner, listening, shutdown_timeout=1.0).start()
        ready.send("listening")
        ready.close()
        await asyncio.Event().wait()

    asyncio.run(serve())


def _require_server() -> None:
    from importlib.util import find_spec

    if find_spec("aiohttp") is None:
        raise MissingDependencyError("aiohttp", "web", "serve the page")


def _with_token(options: ServeOptions) -> ServeOptions:
    if is_loopback(options.host):
        return options.model_copy(update={"token": None})
    return options if options.token else options.model_copy(update={"token": new_token()})


def _listening(options: ServeOptions) -> socket.socket:
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
