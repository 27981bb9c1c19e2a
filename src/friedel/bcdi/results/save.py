"""Results to files and back; the suffix chooses the format. The formats themselves live in their own modules.

Nothing heavy is imported until a file is read or written, because the command line reaches this module for its help.
"""

from pathlib import Path

from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing

WRITABLE = (".cxi", ".npz", ".vti")
READABLE = (".cxi", ".npz")


def save_reconstruction(
    reconstruction: Reconstruction,
    path: str | Path,
    *,
    diffraction: Diffraction | None = None,
    crystal: CrystalImage | None = None,
) -> Path:
    """Write a reconstruction to ``.cxi`` (for archives), ``.npz`` (for scripts) or ``.vti`` (for ParaView).

    Parameters
    ----------
    reconstruction : Reconstruction
        What to write.
    path : str or Path
        The file; it appears whole or not at all.
    diffraction : Diffraction, optional
        The measurement behind it, stored as a further image; CXI only.
    crystal : CrystalImage, optional
        The crystal on its regular grid, with displacement and strain, stored as a further image; CXI only.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the suffix is unknown, the format has no place for what goes with the object, or the file can't be written.
    MissingDependencyError
        If a VTI file is asked for and PyVista isn't installed.
    """
    path = Path(path)
    suffix = _known_suffix(path, WRITABLE, "a reconstruction is saved as")
    if suffix != ".cxi" and not (diffraction is None and crystal is None):
        raise InputError(f"{path}: only a .cxi file has a place for measurement and crystal; leave them out")
    with replacing(path) as unfinished:
        if suffix == ".cxi":
            from friedel.bcdi.results.cxi import write_cxi

            write_cxi(unfinished, reconstruction, diffraction=diffraction, crystal=crystal)
        elif suffix == ".npz":
            from friedel.bcdi.results.npz import write_npz

            write_npz(unfinished, reconstruction)
        else:
            from friedel.bcdi.results.vti import write_reconstruction_vti

            write_reconstruction_vti(unfinished, reconstruction)
    return path


def load_reconstruction(path: str | Path) -> Reconstruction:
    """Read a reconstruction that `save_reconstruction` wrote to ``.cxi`` or ``.npz``, quality and provenance included.

    Raises
    ------
    InputError
        If the file is missing or damaged, wasn't written by this package, or the suffix is unknown.
    """
    path = Path(path)
    suffix = _known_suffix(path, READABLE, "a reconstruction is read from")
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    if suffix == ".cxi":
        from friedel.bcdi.results.cxi import read_cxi

        return read_cxi(path)
    from friedel.bcdi.results.npz import read_npz

    return read_npz(path)


def save_crystal(crystal: CrystalImage, path: str | Path) -> Path:
    """Write the crystal on its regular grid to a ``.vti`` file for ParaView, lengths in nm.

    Raises
    ------
    InputError
        If the suffix isn't ``.vti`` or the file can't be written.
    MissingDependencyError
        If PyVista isn't installed.
    """
    from friedel.bcdi.results.vti import write_crystal_vti

    path = Path(path)
    _known_suffix(path, (".vti",), "a crystal image is saved as")
    with replacing(path) as unfinished:
        write_crystal_vti(unfinished, crystal)
    return path


def save_quality(reconstruction: Reconstruction, path: str | Path) -> Path:
    """Write every quality figure and the provenance to a ``.json`` file; what wasn't measured is null.

    Raises
    ------
    InputError
        If the suffix isn't ``.json`` or the file can't be written.
    """
    from friedel.bcdi.results.record_json import encode_record

    path = Path(path)
    _known_suffix(path, (".json",), "quality figures are saved as")
    with replacing(path) as unfinished:
        unfinished.write_text(encode_record(reconstruction) + "\n", encoding="utf-8")
    return path


def _known_suffix(path: Path, known: tuple[str, ...], what: str) -> str:
    suffix = path.suffix.lower()
    if suffix not in known:
        given = repr(path.suffix) if suffix else "no suffix"
        raise InputError(f"{path}: {what} {', '.join(known)}, got {given}; change the file's name")
    return suffix
