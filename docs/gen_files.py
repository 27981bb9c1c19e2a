"""Write `docs/files.md`: every file of the package with its docstring's first line and what it defines, room by room.

Run it after adding, moving or renaming a file: ``python docs/gen_files.py``. A test compares the page with the code.
"""

import ast
from pathlib import Path

DOCS = Path(__file__).resolve().parent
SOURCE = DOCS.parent / "src" / "friedel"
PAGE = DOCS / "files.md"
HEAD = """# Every file in a line

[Architecture](architecture.md) says which room answers which question; here is what each file holds, in its own words,
and the names it gives to others. Written by `docs/gen_files.py`.
"""


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def names(path: Path) -> str:
    """Return the public functions and classes that a file defines, in its order."""
    defined = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [part.name for part in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(part, defined)]
    return ", ".join(f"`{name}`" for name in found if not name.startswith("_"))


def line(path: Path) -> str:
    """Return a file's entry."""
    given = names(path)
    return f"- `{path.stem}`: {first_line(path)}" + (f" ({given})" if given else "")


def section(folder: Path) -> str:
    """Return a room's heading, what its package says of it, and a line a file."""
    files = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    lines = [line(path) for path in files]
    name = folder.relative_to(SOURCE.parent).as_posix()
    return "\n".join([f"## {name}", "", first_line(folder / "__init__.py"), "", *lines]) + "\n"


def page() -> str:
    """Return the whole page."""
    inside = sorted(path.parent for path in SOURCE.rglob("__init__.py") if list(path.parent.glob("[!_]*.py")))
    return "\n".join([HEAD, *(section(folder) for folder in inside)])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
