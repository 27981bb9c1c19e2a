"""Pages in the browser: `--serve` beside a watch, and `friedel open` for results."""

import math
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from friedel.core.errors import PlanError

if TYPE_CHECKING:
    from friedel.stream.display import Display
    from friedel.web.options import ServeOptions
    from friedel.web.page import Page

PORT = "8765"
_LAST_LOOK_S = 2.0  # s without a terminal: a few updates of the page, so that a browser gets the last snapshot

Serve = Annotated[bool, typer.Option("--serve", help="Show a page in the browser: hits, images, ledger.")]
Port = Annotated[
    str,
    typer.Option(metavar="[HOST:]PORT", help="Of the page; other hosts than this one need a token, which is shown."),
]


OPEN_EPILOG = (
    "Examples:\n\n"
    "  friedel open results          every result under a folder\n\n"
    "  friedel open monday tuesday --port 0.0.0.0:8765          for others too; they need the token that is shown"
)


@contextmanager
def showing(
    serve: bool, port: str, folder: Path | None, *, browse: bool = False, stay_s: float = math.inf
) -> "Iterator[Display | None]":
    """Serve the page while the block runs, and give the display that feeds it; None without ``serve``.

    On a terminal the page stays after the block, so that the last of it can be looked at: for ``stay_s``, or until
    Ctrl-C. Elsewhere it stays just long enough to be shown.
    """
    if not serve:
        yield None
        return
    from friedel.stream.display import Display
    from friedel.web.page import Page

    display = Display()
    try:
        with Page(display.names, serve_options(port), folder=folder) as page:
            typer.secho(f"The page: {page.url}", bold=True)
            if browse:
                webbrowser.open(page.url)
            yield display
            _stay(page, stay_s)
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


def _stay(page: "Page", stay_s: float) -> None:
    on_terminal = sys.stdin.isatty()
    if on_terminal:
        typer.echo("The page stays until Ctrl-C." if stay_s == math.inf else f"The page stays for {stay_s:g} s.")
    ends = time.monotonic() + (stay_s if on_terminal else _LAST_LOOK_S)
    with suppress(KeyboardInterrupt):
        while page.alive and time.monotonic() < ends:
            time.sleep(0.1)


def open_results(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders with results, or .cxi files.")],
    port: Port = PORT,
    browse: Annotated[
        bool, typer.Option("--browse/--no-browse", help="Open the page in this machine's browser.")
    ] = False,
) -> None:
    """Look at results: a table of them all, slices, profiles and surface of one, two beside one another."""
    import webbrowser

    from friedel.web.viewer.server import serve_results

    def ready(url: str, n_results: int) -> None:
        typer.secho(f"{n_results} results: {url}", bold=True)
        typer.echo("The page stays until Ctrl-C.")
        if browse:
            webbrowser.open(url)

    serve_results(folders, serve_options(port), ready=ready)
