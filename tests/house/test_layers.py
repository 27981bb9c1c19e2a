"""Rules of the house that a machine can check: layers, one FFT, a silent library, documented names, short bodies."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "friedel"
MODULES = sorted(SOURCE.rglob("*.py"))
FFT_MARKS = ("torch.fft", "scipy.fft", "numpy.fft", "np.fft", "fftpack", "pyfftw", "finufft")


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def test_imports_point_one_way():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_only_base_fourier_touches_an_fft(path):
    if _name(path) == "base/fourier.py":
        return
    text = path.read_text(encoding="utf-8")
    found = [mark for mark in FFT_MARKS if mark in text]
    assert not found, f"{_name(path)} uses {found}; import from friedel.core.fourier instead"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_the_library_never_prints(path):
    calls = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    lines = [call.lineno for call in calls if call.func.id == "print"]
    assert not lines, f"{_name(path)} prints on lines {lines}; tell the observer instead"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_public_name_is_documented(path):
    tree = _tree(path)
    assert ast.get_docstring(tree), f"{_name(path)} doesn't say what it does"
    nodes = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    methods = [
        inner for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        for inner in node.body if isinstance(inner, ast.FunctionDef)
    ]  # fmt: skip
    bare = [node.name for node in (*nodes, *methods) if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert not bare, f"{_name(path)}: no docstring on {bare}"


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_bodies_and_signatures_stay_small(path):
    functions = [node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if _body_lines(node) > 80]
    assert not long, f"{_name(path)}: over 80 lines in {long}"
    wide = [node.name for node in functions if _parameters(node) > 8]
    assert not wide, f"{_name(path)}: over 8 parameters in {wide}; make a record of them"


def _body_lines(node: ast.FunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def _parameters(node: ast.FunctionDef) -> int:
    named = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")])


def test_no_module_outgrows_one_idea():
    long = {_name(path): lines for path in MODULES if (lines := len(path.read_text().splitlines())) > 500}
    assert not long
