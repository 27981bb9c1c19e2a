"""Run the tests as other machines would: other arithmetic, one thread and two, other Pythons, the lowest versions.

    python tests/matrix.py                      everything, an environment a Python; takes hours
    python tests/matrix.py --only avx2 two      some rows, by a part of their names
    python tests/matrix.py --only lowest -- tests/core

A result that depends on the last bits of a sum passes on one processor and fails on another: the instruction sets that
torch and oneDNN choose are set here by environment variables, which they obey at start.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
EXTRAS = ".[all,atoms,test]"
# The extras whose lowest versions are tried; those of the live protocols have no wheels for every Python.
LOWEST_OF = ("bcdi", "spi", "train", "cluster", "xfel", "view", "web")
# What each library calls the same instruction set.
ARITHMETIC = {
    "plain arithmetic": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "OPENBLAS_CORETYPE": "Nehalem",
    },
    "avx2": {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"},
    "avx512": {"ATEN_CPU_CAPABILITY": "avx512", "ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    "two threads": {"FRIEDEL_TEST_THREADS": "2"},
}


@dataclass(frozen=True)
class Row:
    """One way to run the tests: a Python, its environment variables, and the versions it installs."""

    name: str
    python: Path
    variables: dict[str, str] = field(default_factory=dict)
    constraints: tuple[str, ...] = ()
    own: bool = False


def rows() -> Iterator[Row]:
    """Yield every way that this machine can try."""
    here = Path(sys.executable)
    for name, variables in ARITHMETIC.items():
        yield Row(name, here, variables)
    lowest = next((path for version in PYTHONS if (path := found(version))), None)
    if lowest is not None:
        yield Row("lowest versions", lowest, constraints=tuple(lowest_versions()), own=True)
    for version in PYTHONS:
        path = found(version)
        if path is not None and version != f"{sys.version_info.major}.{sys.version_info.minor}":
            yield Row(f"Python {version}", path, own=True)


def found(version: str) -> Path | None:
    """Return this Python, on the path or where pyenv keeps it; None if there is none that runs."""
    kept = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for candidate in (*kept, shutil.which(f"python{version}")):
        if candidate and not subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode:
            return Path(candidate)
    return None


def lowest_versions() -> Iterator[str]:
    """Yield "package==version" for the lowest version of each dependency that pyproject.toml allows."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = project["optional-dependencies"]
    for line in (*project["dependencies"], *(line for name in LOWEST_OF for line in groups[name])):
        name, version = re.match(r"([\w\-.]+)(?:\[.*\])?\s*>=\s*([\w.]+)", line).groups()
        yield f"{name}=={version}"


def environment(row: Row) -> Path:
    """Make the row's own environment, and return its Python."""
    folder = ROOT / ".matrix" / row.name.replace(" ", "_")
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([row.python, "-m", "venv", "--clear", folder], check=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(row.constraints) + "\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "-c", constraints, "-e", EXTRAS], cwd=ROOT, check=True)
    return python


def main() -> int:
    """Run the rows, print a line for each, and return how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of rows to run")
    parser.add_argument("pytest", nargs="*", help="what pytest is given, after --")
    given, failed = parser.parse_args(), 0
    for row in rows():
        if not any(part.lower() in row.name.lower() for part in given.only):
            continue
        began = time.monotonic()
        python = environment(row) if row.own else row.python
        # Old libraries warn of what newer ones of others will drop, which says nothing of this code.
        lenient = ("-o", "filterwarnings=default") if row.constraints else ()
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *lenient, *given.pytest]
        done = subprocess.run(command, cwd=ROOT, env=os.environ | row.variables, check=False)
        failed += bool(done.returncode)
        verdict = "FAILED" if done.returncode else "passed"
        print(f"== {row.name}: {verdict} in {time.monotonic() - began:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    sys.exit(main())
