"""Write the API pages from the code: one page a room, all its modules in the order of their names.

Run by mkdocs (plugin gen-files) at every build, so that no page has to be kept by hand.
"""

import ast
from pathlib import Path

import mkdocs_gen_files

SOURCE = Path(__file__).resolve().parents[1] / "src" / "friedel"
# In the order data flow: the ground, the stream, the two sciences, the page.
HOUSES = ("core", "stream", "bcdi", "spi", "web")

TASKS = (
    ("One function a step, for notebooks", ("",)),
    ("Read a scan; describe a beamline", ("bcdi.scans", "bcdi.geometry")),
    ("Read frames of single particles", ("spi.frames", "spi")),
    ("Prepare a pattern", ("bcdi.prepare",)),
    ("Phase it", ("bcdi", "bcdi.phasing", "bcdi.phasing.iterations", "bcdi.phasing.prediction", "bcdi.networks")),
    ("Judge a reconstruction", ("bcdi.phasing.verdict", "bcdi.uncertainty")),
    ("Strain, displacement, facets", ("bcdi.strain", "bcdi")),
    ("Save, load, look at results", ("bcdi.results", "bcdi.show", "bcdi.figures", "web.viewer")),
    ("Treat a series", ("bcdi.series", "spi.series", "core.series")),
    ("Find hits and their sizes", ("spi.classify", "spi.hits", "spi.hits.sizes", "spi.adapt")),
    ("Merge hits into a particle", ("spi.merge", "spi.orient", "spi.density")),
    ("Watch a stream", ("spi.live", "bcdi.live", "stream", "stream.sources")),
    ("Plan a beam time", ("bcdi", "spi")),
    ("Simulate", ("bcdi.forward", "bcdi.simulation", "spi.forward", "spi.simulation")),
    ("Train and evaluate networks", ("bcdi.training", "spi.training", "bcdi.evaluation", "spi.evaluation")),
)
"""What one wants to do, and the rooms that do it; "" is `friedel` itself."""


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


def by_task(pages: dict[str, str]) -> list[str]:
    """Return a table of tasks, each with links to its rooms' pages; a room that isn't there fails the build."""
    rows = [f"| {task} | {' · '.join(f'[`friedel.{n}`]({pages[n]})' for n in names)} |" for task, names in TASKS[1:]]
    return ["| to … | look at |", "|---|---|", f"| {TASKS[0][0]} | [`friedel`](friedel.md) |", *rows, ""]


summary = ["- [Overview](index.md)", "- [friedel](friedel.md)"]
pages: dict[str, str] = {}
lines: list[str] = []
with mkdocs_gen_files.open("api/friedel.md", "w") as text:
    text.write("# friedel\n\nOne function a step, for both sciences.\n\n::: friedel.facade\n")
for house in HOUSES:
    summary.append(f"- {house}")
    for folder in rooms(SOURCE / house):
        name = ".".join(folder.relative_to(SOURCE).parts)
        file = f"{name.replace('.', '_')}.md"
        with mkdocs_gen_files.open(f"api/{file}", "w") as text:
            text.write(page(folder))
        pages[name] = file
        summary.append(f"    - [{name}]({file})")
        lines.append(f"- [`friedel.{name}`]({file}): {first_line(folder / '__init__.py')}")
with mkdocs_gen_files.open("api/index.md", "w") as text:
    head = ["# API", "", "## By task", "", *by_task(pages), "## By room", ""]
    head += ["One page a room; [Architecture](../architecture.md) says which question each answers.", ""]
    text.write("\n".join([*head, *lines]) + "\n")
with mkdocs_gen_files.open("api/SUMMARY.md", "w") as text:
    text.write("\n".join(summary) + "\n")
