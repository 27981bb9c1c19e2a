"""A run's results registered in a Tiled server: found and read by whoever looks there, and copied nowhere.

A folder becomes a container whose metadata are its plan and its figures (the JSON files), with each HDF5 file below it
as it is. The server must be able to read the folder itself (``tiled serve catalog … --read FOLDER``).
"""

import json
import math
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from friedel._version import __version__
from friedel.core.errors import FriedelError, InputError
from friedel.core.optional import load_optional

SPEC = "FriedelResult"
"""What Tiled calls such a container: clients search for it, and only these are ever replaced."""
_HDF5 = {".h5", ".hdf5", ".cxi", ".nxs"}
_LARGEST = (
    1 << 20
)  # bytes of a JSON file that becomes metadata; figures take kilobytes, and a server keeps them in a row


def register_results(
    folders: Sequence[Path], server: str, *, under: Sequence[str] = (), api_key: str | None = None
) -> list[str]:
    """Register result folders; one that is registered already is replaced by what it holds now.

    Parameters
    ----------
    folders : sequence of Path
        Each with the files that a command left in it.
    server : str
        Address of the Tiled server ("http://host:8000").
    under : sequence of str
        Containers, from the outermost, to put them in; made where there are none.
    api_key : str, optional
        Of the server; None takes ``TILED_API_KEY``, or who is logged in.

    Returns
    -------
    list of str
        The addresses, in order.

    Raises
    ------
    MissingDependencyError
        If Tiled's client isn't installed.
    InputError
        If a folder holds no results, or the server can't be reached or refuses.
    """
    tiled = load_optional("tiled.client", package="tiled", extra="tiled", purpose="register results in a Tiled server")
    found = [_found(Path(folder).resolve()) for folder in folders]
    try:
        root = place = tiled.from_uri(server, **({} if api_key is None else {"api_key": api_key}))
        with closing(root.context):
            for name in under:
                place = place[name] if name in place else place.create_container(name)
            for folder, metadata, files in found:
                _register(place, folder, metadata, files)
            return [str(root[(*under, folder.name)].uri) for folder, _, _ in found]
    except FriedelError:
        raise
    except Exception as error:  # Tiled raises httpx's errors, and several of its own
        raise InputError(f"{server}: the Tiled server can't be used ({error})") from error


def _found(folder: Path) -> tuple[Path, dict[str, Any], list[Path]]:
    """Return a folder with the metadata and the files that go into the catalogue.

    Raises
    ------
    InputError
        If there are none.
    """
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise InputError(f"{folder}: can't be read ({error.strerror or error})") from None
    arrays = [path for path in files if path.suffix.lower() in _HDF5]
    if not arrays:
        raise InputError(f"{folder}: holds no results (no HDF5 or CXI file); name the folder that a command wrote")
    texts = [path for path in files if path.suffix == ".json" and path.stat().st_size <= _LARGEST]
    metadata: dict[str, Any] = {"friedel": __version__, "folder": str(folder), "plan": _plan(folder / "plan.yaml")}
    return folder, metadata | {path.stem: _figures(path) for path in texts}, arrays


def _register(place: Any, folder: Path, metadata: dict[str, Any], files: list[Path]) -> None:
    data_source = load_optional("tiled.structures.data_source", package="tiled", extra="tiled", purpose="register")
    if folder.name in place:
        if SPEC not in [spec.name for spec in place[folder.name].specs]:
            raise InputError(f"{folder.name}: the server has something else of this name; give another --under")
        place.delete_contents(folder.name, recursive=True)
    container = place.create_container(folder.name, metadata=metadata, specs=[SPEC])
    for path in files:
        asset = data_source.Asset(data_uri=path.as_uri(), is_directory=False, parameter="data_uris", num=0)
        source = data_source.DataSource(
            structure_family="container", structure=None, mimetype="application/x-hdf5", parameters={},
            management=data_source.Management.external, assets=[asset],
        )  # fmt: skip
        container.new("container", [source], key=path.name)
        try:
            list(container[path.name])
        except Exception as error:  # a server takes the address of any file, and finds out later
            text = f"the server can't read it ({error}); let it read the folder: tiled serve catalog … --read"
            raise InputError(f"{path}: {text} {folder}") from error


def _plan(path: Path) -> Any:
    try:
        return _plain(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None


def _figures(path: Path) -> Any:
    try:
        return _plain(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _plain(value: Any) -> Any:
    """Return values as strict JSON has them: what is not finite becomes null, what is no number a text."""
    if isinstance(value, dict):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
