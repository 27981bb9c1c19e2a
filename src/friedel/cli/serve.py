"""`--serve`: the page beside a watch, and where to find it."""

import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from friedel.base.errors import PlanError

if TYPE_CHECKING:
    from friedel.live.display import Display
    from friedel.web.options import ServeOptions

PORT = "8765"

Serve = Annotated[bool, typer.Option("--serve", help="Show a page in the browser: hits, images, ledger.")]
Port = Annotated[
    str,
    typer.Option(metavar="[HOST:]PORT", help="Of the page; other hosts than this one need a token, which is shown."),
]


@contextmanager
def showing(serve: bool, port: str, folder: Path | None, *, browse: bool = False) -> "Iterator[Display | None]":
    """Serve the page while the block runs, and give the display that feeds it; None without ``serve``.

    On a terminal the page stays after the block until Ctrl-C, so that the last of it can be looked at.
    """
    if not serve:
        yield None
        return
    from friedel.live.display import Display
    from friedel.web.page import Page

    display = Display()
    try:
        with Page(display.names, serve_options(port), folder=folder) as page:
            typer.secho(f"The page: {page.url}", bold=True)
            if browse:
                webbrowser.open(page.url)
            yield display
            _stay(page)
    finally:
        display.close()


def serve_options(port: str) -> "ServeOptions":
    """Return the options that ``[HOST:]PORT`` stands for.

    Raises
    ------
    PlanError
        If it is no port, or no host and port.
    """
    from friedel.web.options import ServeOptions

    host, _, number = port.rpartition(":")
    if not number.isdigit():
        raise PlanError(f"--port {port!r}: give a port (8765), or host and port (0.0.0.0:8765)")
    given = {"host": host.strip("[]"), "port": int(number)} if host else {"port": int(number)}
    return ServeOptions.read(given, origin="--port")


def _stay(page: object) -> None:
    if not sys.stdin.isatty():
        return
    typer.echo("The page stays until Ctrl-C.")
    with suppress(KeyboardInterrupt):
        while getattr(page, "alive", False):
            _sleep()


def _sleep() -> None:
    import time

    time.sleep(0.2)
