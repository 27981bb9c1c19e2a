"""The campaign's damaged inputs: files of every format, plans, pickles, bombs, names with markup and paths.

Each file is given to the real command line in a process that is given up if it hangs.
"""

import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
from faults_peer import made_up
from faults_watch import need

Rng = np.random.Generator
_LONGEST_S = 120.0
_FINE = (0, 2)


def damaged_file(rng: Rng, folder: Path) -> None:
    """Cut off a file of frames, or change some bytes: refused in a line, or scored as far as it goes."""
    path = _frames(rng, folder)
    data = bytearray(path.read_bytes())
    if rng.random() < 0.5:
        del data[int(rng.integers(0, len(data))) :]
    else:
        for place in rng.integers(0, min(len(data), int(rng.choice([100, 4000, len(data)]))), 8):
            data[place] = int(rng.integers(256))
    path.write_bytes(data)
    _command(folder, "classify", path, "-o", folder / "out", "--model", "default")


def damaged_stream(rng: Rng, folder: Path) -> None:
    """Do the same to what a watch reads, a file or a recording."""
    path = _frames(rng, folder) if rng.random() < 0.5 else folder / "stream.frs"
    if path.suffix == ".frs":
        _command(folder, "record", f"file://{_frames(rng, folder, '.h5')}", path)
    data = path.read_bytes()
    path.write_bytes(data[: int(rng.integers(1, len(data)))] + rng.bytes(int(rng.integers(0, 64))))
    scheme = "replay" if path.suffix == ".frs" else "file"
    words = ("--model", "faults_peer:Brightness", "--set", "queue.workers=1", "--set", "queue.settle_s=1")
    _command(folder, "watch", f"{scheme}://{path}", "-o", folder / "out", *words)


def pickled(rng: Rng, folder: Path) -> None:
    """Pickle something that would run a program into a NumPy file: it isn't loaded."""
    trace, path = folder / "trace", folder / "run.npy"

    class Runs:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
            return Path.touch, (trace,)

    made = np.empty(1, object)
    made[0] = Runs()
    np.save(path, made, allow_pickle=True)
    (folder / "bare.npz").write_bytes(pickle.dumps(Runs()))
    for one in (path, folder / "bare.npz"):
        need(_command(folder, "classify", one, "-o", folder / "out") == 2, f"{one.name} is taken")
    need(not trace.exists(), "the pickle ran")


def bomb(rng: Rng, folder: Path) -> None:
    """Let some kilobytes stand for a terabyte: refused, or read as far as there is something."""
    path = folder / "bomb.npz"
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<u2', 'fortran_order': False, 'shape': (99999999, 64, 64), }"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("frames.npy", header.ljust(127) + b"\n" + b"\0" * (1 << 22))
    if _command(folder, "classify", path, "-o", folder / "out") == 0:
        frames = json.loads((folder / "out" / "summary.json").read_text())["frames"]
        need(frames <= 1 << 10, f"{frames} frames are taken for true")


def bad_plan(rng: Rng, folder: Path) -> None:
    """Plan with a tag that makes an object, an unknown key, garbage, endless aliases: refused in a line."""
    trace = folder / "trace"
    texts = [
        f"source: !!python/object/apply:os.system ['touch {trace}']\n", "queue: {batsch: 3}\n", "[" * 3000, "\0\xff",
        "source: file://../../../etc/passwd\noutput: /nowhere\n", "a: &a [x, x]\nb: &b [*a, *a]\nsource: [*b, *b]\n",
        "queue: {batch: .inf}\n", "queue: {memory_mb: -1}\n", "alarms: {webhook: 'file:///etc/passwd'}\n", "",
    ]  # fmt: skip
    path = folder / "plan.yaml"
    path.write_text(texts[rng.integers(len(texts))], encoding="utf-8")
    need(_command(folder, "watch", "--plan", path) == 2, "the plan is taken")
    need(not trace.exists(), "the tag was obeyed")


def markup(rng: Rng, folder: Path) -> None:
    """Name files and datasets with markup and paths: reports show text, nothing is written outside."""
    name = str(rng.choice(["<script>alert(1)</script>", "a&b<b>", "'\"><img src=x onerror=alert(1)>", "..%2f..%2fx"]))
    around, folder = folder, folder / "inner"  # the system's own folder is everybody's
    folder.mkdir()
    path = folder / f"{name.replace('/', '∕')}.h5"
    with h5py.File(path, "w") as file:
        file[name.replace("/", "∕")] = made_up(20)
    code = _command(folder, "classify", path, "-o", folder / "out", "--dataset", name.replace("/", "∕"))
    need(set(around.iterdir()) == {folder}, "something is written outside")
    report = folder / "out" / "report.html"
    need(code == 0 and report.exists(), "it isn't classified")
    text = report.read_text(encoding="utf-8")
    need("<script>alert" not in text and "<img src=x" not in text and "a&b<b>" not in text, "markup is obeyed")


def _frames(rng: Rng, folder: Path, suffix: str | None = None) -> Path:
    """Write frames in one of the formats."""
    suffix = suffix or str(rng.choice([".h5", ".cxi", ".npy", ".npz"]))
    path, stack = folder / f"run{suffix}", made_up(40, int(rng.integers(1 << 30)))
    if suffix == ".npy":
        np.save(path, stack)
    elif suffix == ".npz":
        np.savez_compressed(path, frames=stack)
    else:
        packed = {"compression": "gzip", "chunks": (4, 64, 64)} if rng.random() < 0.5 else {}
        with h5py.File(path, "w", libver=str(rng.choice(["earliest", "latest"]))) as file:
            file.create_dataset("entry_1/data_1/data", data=stack, **packed)
    return path


def _command(folder: Path, *words: object) -> int:
    """Run a command; return its exit code, which must be one of those that are documented.

    Raises
    ------
    FaultError
        If it hangs, or ends in another way than with a result or a clear line.
    """
    code = "from friedel.cli.main import main; main()"
    search = [str(Path(__file__).resolve().parent), *(entry for entry in sys.path if entry)]
    begin = f"import sys; sys.path[:0] = {search!r}\n"
    try:
        done = subprocess.run(
            [sys.executable, "-c", begin + code, *map(str, words)], cwd=folder, capture_output=True, timeout=_LONGEST_S,
            check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        need(False, f"{words[0]} hangs")
        return -1
    said = done.stderr.decode(errors="replace")
    need(done.returncode in _FINE, f"{words[0]}: exit code {done.returncode}: {said[-300:]}")
    need("Traceback" not in said, f"{words[0]}: a traceback: {said[-300:]}")
    need(done.returncode == 0 or "Error" in said or "not in the results" in said, f"{words[0]} says nothing of it")
    return done.returncode


INPUTS = (damaged_file, bad_plan, pickled, damaged_stream, bomb, markup)
