"""What this installation has: versions, processors, GPU, optional packages. Reads only; changes nothing."""

import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from friedel._version import __version__
from friedel.core.machine.memory import keep_freed_memory

LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "h5py",
    "hdf5plugin",
    "scikit-image",
    "scikit-learn",
    "pydantic",
)


@dataclass(frozen=True)
class Extra:
    """An optional package: what brings it and what it is for."""

    package: str
    extra: str
    purpose: str

    @property
    def install_line(self) -> str:
        """The command that installs it."""
        return f"pip install 'friedel[{self.extra}]'"


EXTRAS = (
    Extra("pyvista", "view", "write VTI files and draw the 3D view in the report"),
    Extra("fabio", "bcdi", "read EDF images"),
    Extra("xrayutilities", "bcdi", "look up refractive indices"),
    Extra("finufft", "spi", "simulate frames of particles"),
    Extra("gemmi", "spi", "read PDB and mmCIF structures"),
    Extra("xraydb", "spi", "look up atomic form factors"),
    Extra("mrcfile", "spi", "read MRC maps"),
    Extra("extra-geom", "spi", "read detector geometry files"),
    Extra("lightning", "train", "train networks"),
    Extra("distributed", "cluster", "work with several processes and machines"),
    Extra("EXtra-data", "xfel", "read runs of the European XFEL"),
    Extra("cohere-core", "peers", "run the benchmarks and agreement tests beside another program"),
)


@dataclass(frozen=True, kw_only=True)
class Health:
    """What `examine` found.

    Attributes
    ----------
    versions : dict of str to str or None
        Version of this package, Python and each library; None where absent.
    platform : str
        Operating system and processor family.
    cpu_count, torch_threads : int
        Processors this process may use, and threads torch uses.
    gpus : tuple of str
        CUDA devices torch sees, with their memory.
    keeps_memory : bool
        Whether the C library took the hint of `friedel.core.machine.memory`.
    advice : tuple of str
        One sentence for each thing that is missing, with the line that installs it.
    """

    versions: dict[str, str | None]
    platform: str
    cpu_count: int
    torch_threads: int
    gpus: tuple[str, ...]
    keeps_memory: bool
    advice: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    def lines(self) -> list[tuple[str, str]]:
        """Return ``(name, value)`` pairs for a person to read."""
        pairs = [(name, found or "missing") for name, found in self.versions.items()]
        return [
            *pairs,
            ("platform", self.platform),
            ("processors", f"{self.cpu_count} (torch uses {self.torch_threads} threads)"),
            ("GPU", "; ".join(self.gpus) or "none seen by torch: work runs on the CPU"),
            ("memory reuse", "on" if self.keeps_memory else "not available with this C library"),
        ]


def examine() -> Health:
    """Look at this installation and say what it has and lacks."""
    import torch

    packages = (*LIBRARIES, *(extra.package for extra in EXTRAS))
    versions = {
        "friedel": __version__,
        "python": platform.python_version(),
        **{name: _installed(name) for name in packages},
    }
    return Health(
        versions=versions,
        platform=f"{platform.system()} {platform.machine()}",
        cpu_count=_usable_processors(),
        torch_threads=torch.get_num_threads(),
        gpus=_gpus(),
        keeps_memory=keep_freed_memory(),
        advice=_advice(versions),
    )


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _usable_processors() -> int:
    # A batch system often grants fewer processors than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> tuple[str, ...]:
    import torch

    if not torch.cuda.is_available():
        return ()
    found = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    return tuple(f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB" for gpu in found)


def _advice(versions: dict[str, str | None]) -> tuple[str, ...]:
    broken = [f"{name} is missing. Install it with: pip install {name}" for name in LIBRARIES if not versions[name]]
    wanted = [extra for extra in EXTRAS if not versions[extra.package]]
    return (*broken, *(f"{e.package} is missing; it is needed to {e.purpose}: {e.install_line}" for e in wanted))
