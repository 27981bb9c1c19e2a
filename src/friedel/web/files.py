"""Files of the run that the page may show: those inside its folder, and no other path. Opens nothing."""

from pathlib import Path, PurePosixPath

KINDS = (".html", ".png", ".json", ".csv", ".yaml", ".cxi", ".h5", ".npz", ".vti", ".emc")
"""Endings of what a run leaves; nothing else is served."""


def file_inside(folder: Path | None, asked: str) -> Path | None:
    """Return the file that a path, relative to the run's folder, stands for; None if it isn't one of the run's files.

    Parameters
    ----------
    folder : Path or None
        The run's folder; None serves nothing.
    asked : str
        As it came from a browser, decoded. Absolute paths, ``..``, hidden names, links that lead out of the folder,
        and endings that no run leaves are all None.
    """
    if folder is None or not asked or "\0" in asked or "\\" in asked:
        return None
    parts = PurePosixPath(asked).parts
    if any(part == "/" or part.startswith(".") for part in parts) or PurePosixPath(asked).suffix not in KINDS:
        return None
    root = folder.resolve()
    found = root.joinpath(*parts).resolve()
    return found if found.is_relative_to(root) and found.is_file() else None
