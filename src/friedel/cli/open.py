"""`friedel open`: results under folders as a table in the browser, and each of them to look at."""

from pathlib import Path
from typing import Annotated

import typer

from friedel.cli.serve import PORT, Port, serve_options

EPILOG = (
    "Examples:\n\n"
    "  friedel open results          every result under a folder\n\n"
    "  friedel open monday tuesday --port 0.0.0.0:8765          for others too; they need the token that is shown"
)


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
