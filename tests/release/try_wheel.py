"""Use a wheel as somebody who has nothing else: a new environment, a folder without the checkout, every first step.

Run by ``make dist``: ``python tests/release/try_wheel.py dist``. Installs from the package index, so it isn't one of
the tests that pytest collects. ``--here`` lends the environment the libraries of this one, for machines without an
index; the package itself still comes from the wheel.
"""

import argparse
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WITHIN = ("beamlines/aps34idc.yaml", "weights/", "templates/report.html.j2", "static/page.html", "static/viewer.js")
EXTRAS = "all"


def main() -> int:
    """Build the environment, run the first steps, and say which failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dist", type=Path)
    parser.add_argument("--here", action="store_true", help="lend the new environment this one's libraries")
    parser.add_argument("--quick", action="store_true", help="leave out the demo and the examples")
    given = parser.parse_args()
    wheel = next(given.dist.resolve().glob("*.whl"))
    missing = _absent(wheel)
    if missing:
        sys.stdout.write(f"not in the wheel: {', '.join(missing)}\n")
        return 1
    with tempfile.TemporaryDirectory() as place:
        python = _environment(Path(place) / "env", wheel, lent=given.here)
        return _try(python, Path(place), quick=given.quick)


def _absent(wheel: Path) -> list[str]:
    names = zipfile.ZipFile(wheel).namelist()
    return [part for part in WITHIN if not any(part in name for name in names)]


def _environment(folder: Path, wheel: Path, *, lent: bool) -> Path:
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if lent:
        site = next(folder.glob("lib/python*/site-packages"))
        # Behind the environment's own folder on the path: the wheel's package is found first.
        (site / "lent.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, *(["--no-deps", str(wheel)] if lent else [f"{wheel}[{EXTRAS}]"])], check=True)
    return python


def _try(python: Path, place: Path, *, quick: bool) -> int:
    work = place / "elsewhere"
    shutil.copytree(ROOT / "examples", work / "examples")
    where = "import friedel, sys; sys.exit('site-packages' not in friedel.__file__ or 'env' not in friedel.__file__)"
    steps: list[list[str | Path]] = [
        [python, "-c", where],
        [python.with_name("friedel"), "--version"],
        # Which shell is to be completed is told by the process that asks; the colon keeps bash from making way for it.
        ["bash", "-c", f"{python.with_name('friedel')} --show-completion | grep -q _friedel_completion; [ $? = 0 ]"],
        # Into a home of its own, for a shell that is named.
        ["env", f"HOME={work}", python.with_name("friedel"), "--install-completion", "bash"],
        [python.with_name("friedel"), "doctor"],
        [python.with_name("friedel"), "plan-scan", "size_nm=300", "energy_ev=9000", "distance_m=0.5"],
        [python.with_name("friedel"), "demo", "--quick", "-o", "demo"],
        *([python, path] for path in sorted((work / "examples").glob("0[1-9]*.py"))),
    ]
    failed = []
    for step in steps[: 6 if quick else None]:
        name = " ".join(Path(part).name if Path(part).is_absolute() else str(part) for part in step)[:70]
        done = subprocess.run([str(part) for part in step], cwd=work, capture_output=True, text=True, check=False)
        sys.stdout.write(f"{'ok    ' if done.returncode == 0 else 'FAILED'} {name}\n")
        sys.stdout.flush()
        if done.returncode:
            failed.append(name)
            sys.stdout.write(done.stdout[-2000:] + done.stderr[-3000:])
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
