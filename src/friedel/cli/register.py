"""`friedel register`: results in a Tiled server's catalogue."""

from pathlib import Path
from typing import Annotated

import typer

EPILOG = (
    "Examples:\n\n"
    "  friedel register hits --server http://tiled:8000          the key from TILED_API_KEY\n\n"
    "  friedel register heating/scan_* --server http://tiled:8000 --under 2026-11/heating\n\n"
    "Nothing is copied: the server must be able to read the folders (tiled serve catalog … --read FOLDER)."
)


def register(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER…", help="Folders with results.")],
    server: Annotated[str, typer.Option(help="Address of the Tiled server.")],
    under: Annotated[str, typer.Option(help="Where in the catalogue, with / between the containers.")] = "",
) -> None:
    """Register results in a Tiled server: plan and figures as metadata, the HDF5 files as they are."""
    from friedel.web.catalogue import register_results

    for address in register_results(folders, server, under=[name for name in under.split("/") if name]):
        typer.echo(address)
