"""Write the API pages from the code: one page a room, all its modules in the order of their names.

Run by mkdocs (plugin gen-files) at every build, so that no page has to be kept by hand.
"""

import ast
from pathlib import Path

import mkdocs_gen_files

SOURCE = Path(__file__).resolve().parents[1] / "src" / "friedel"
# In the order data flow: the ground, the stream, the two sciences, the page.
HOUSES = ("core", "stream", "bcdi", "spi", "web")


def first_line(path: Path) -> str:
    """Return the first line of a module's docstring."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return docstring.partition("\n")[0]


def modules(folder: Path) -> list[Path]:
    """Return the modules of a room, without its ``__init__``."""
    return sorted(path for path in folder.glob("*.py") if path.name != "__init__.py")


def page(folder: Path) -> str:
    """Return the page of a room."""
    parts = folder.relative_to(SOURCE).parts
    directives = [f"::: friedel.{'.'.join(parts)}.{path.stem}" for path in modules(folder)]
    return "\n\n".join([f"# {'.'.join(parts)}", first_line(folder / "__init__.py"), *directives]) + "\n"


def rooms(house: Path) -> list[Path]:
    """Return a house and its rooms that hold modules."""
    inside = sorted(path.parent for path in house.rglob("__init__.py") if path.parent != house)
    return [folder for folder in (house, *inside) if modules(folder)]


summary = ["- [Overview](index.md)"]
lines = ["# API", "", "One page a room; [Architecture](../architecture.md) says which question each answers.", ""]
for house in HOUSES:
    summary.append(f"- {house}")
    for folder in rooms(SOURCE / house):
        name = ".".join(folder.relative_to(SOURCE).parts)
        file = f"{name.replace('.', '_')}.md"
        with mkdocs_gen_files.open(f"api/{file}", "w") as text:
            text.write(page(folder))
        summary.append(f"    - [{name}]({file})")
        lines.append(f"- [`friedel.{name}`]({file}): {first_line(folder / '__init__.py')}")
with mkdocs_gen_files.open("api/index.md", "w") as text:
    text.write("\n".join(lines) + "\n")
with mkdocs_gen_files.open("api/SUMMARY.md", "w") as text:
    text.write("\n".join(summary) + "\n")
