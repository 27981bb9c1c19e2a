"""Rules of the house that a machine can check: one FFT, a silent library, documented names, short bodies.

Layers are import-linter's; `make test` runs it once. Each rule is one test over all modules, and names every breach.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "friedel"
FFT_MARKS = (
    "torch.fft",
    "scipy.fft",
    "numpy.fft",
    "np.fft",
    "fftpack",
    "pyfftw",
    '"finufft", package',
    "import finufft",
)
FFT_HOME = "core/fourier.py"
# A command has an argument for each of its options: the command line is left out of the second.
LONGEST_BODY, MOST_PARAMETERS, LONGEST_FILE, FULLEST_ROOM = 80, 8, 500, 15
# The command line has a file a command.
FULL_ROOMS = {"cli"}
# From so many parameters on a docstring has a section on them.
MANY_PARAMETERS = 4


@pytest.fixture(scope="module")
def modules() -> dict[str, str]:
    """Return the text of every module by its path in the package."""
    return {path.relative_to(SOURCE).as_posix(): path.read_text(encoding="utf-8") for path in SOURCE.rglob("*.py")}


@pytest.fixture(scope="module")
def trees(modules) -> dict[str, ast.Module]:
    return {name: ast.parse(text, filename=name) for name, text in modules.items()}


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_only_one_module_touches_an_fft(modules):
    found = {name: mark for name, text in modules.items() for mark in FFT_MARKS if mark in text and name != FFT_HOME}
    assert not found, f"use friedel.core.fourier instead: {found}"


def test_the_library_never_prints(trees):
    found = [
        f"{name}:{node.lineno}" for name, tree in trees.items() for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]  # fmt: skip
    assert not found, "tell the observer instead"


def test_every_public_name_is_documented(trees):
    bare = [name for name, tree in trees.items() if not ast.get_docstring(tree)]
    for name, tree in trees.items():
        nodes = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        classes = [node for node in nodes if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
        methods = [inner for node in classes for inner in node.body if isinstance(inner, ast.FunctionDef)]
        undocumented = [node.name for node in (*nodes, *methods) if not ast.get_docstring(node)]
        bare += [f"{name}: {found}" for found in undocumented if not found.startswith("_")]
    assert not bare


def test_bodies_signatures_files_and_rooms_stay_small(modules, trees):
    functions = [(name, node) for name, tree in trees.items() for node in _functions(tree)]
    large = [f"{name}: {node.name} is long" for name, node in functions if _body_lines(node) > LONGEST_BODY]
    large += [
        f"{name}: {node.name} is wide"
        for name, node in functions
        if _parameters(node) > MOST_PARAMETERS and not name.startswith("cli/")
    ]
    large += [f"{name} is long" for name, text in modules.items() if len(text.splitlines()) > LONGEST_FILE]
    rooms = {name.rpartition("/")[0] for name in modules}
    full = {room: len(list((SOURCE / room).glob("[!_]*.py"))) for room in rooms - FULL_ROOMS}
    large += [f"{room} holds {count} files" for room, count in full.items() if count > FULLEST_ROOM]
    assert not large


def test_functions_of_many_parameters_say_what_each_is(trees):
    bare = [
        f"{name}: {node.name}" for name, tree in trees.items() for node in _public_functions(tree)
        if _parameters(node) >= MANY_PARAMETERS and not name.startswith("cli/")
        and "Parameters\n" not in (ast.get_docstring(node) or "") and not _overrides(node)
    ]  # fmt: skip
    assert not bare


def _public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    bodies = [tree.body, *(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")]
    nodes = [node for body in bodies for node in body if isinstance(node, ast.FunctionDef)]
    return [node for node in nodes if not node.name.startswith("_")]


def test_modules_that_docstrings_and_pages_name_exist(modules):
    texts = dict(modules)
    texts |= {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs").rglob("*.md")}
    named = {(name, found) for name, text in texts.items() for found in re.findall(r"`(friedel(?:\.\w+)+)`", text)}
    assert not sorted(f"{name}: {found}" for name, found in named if not _exists(found.split("."), modules))


def _exists(parts: list[str], modules: dict[str, str]) -> bool:
    """Say whether a dotted name is a package, a module, or a name that a module speaks of."""
    for count in range(len(parts), 0, -1):
        inside = "/".join(parts[1:count])
        file = next((file for file in (f"{inside}.py", f"{inside}/__init__.py".lstrip("/")) if file in modules), None)
        if file is not None:
            return count == len(parts) or re.search(rf"\b{parts[count]}\b", modules[file]) is not None
    return False


def _overrides(node: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Name) and one.id == "override" for one in node.decorator_list)


def _body_lines(node: ast.FunctionDef) -> int:
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


def _parameters(node: ast.FunctionDef) -> int:
    named = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")])
