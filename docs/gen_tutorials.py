"""Run the tutorials and write what they say and draw into the site; a tutorial that fails, fails the build.

Percent-format scripts in docs/tutorials: cells of code and of Markdown. Outputs are kept under .cache by the hash of
the script and of the package, so that a second build is quick.
"""

import ast
import base64
import contextlib
import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from matplotlib import pyplot

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "tutorials"
CACHE = ROOT / ".cache" / "tutorials"
SCAN54 = ROOT.parent / "shared" / "data" / "aps34idc_scan54"
"""Real frames beside the checkout, which tutorials find as "scan54"; without them they simulate some, and say so."""
_CELL = re.compile(r"^# %%(.*)$", re.MULTILINE)


def cells(text: str) -> list[tuple[bool, str]]:
    """Return the cells of a script as (is Markdown, text)."""
    parts = _CELL.split(text)[1:]
    found = []
    for mark, body in zip(parts[::2], parts[1::2], strict=True):
        markdown = "[markdown]" in mark
        lines = [re.sub(r"^# ?", "", line) for line in body.strip().splitlines()] if markdown else [body.strip()]
        found.append((markdown, "\n".join(lines)))
    return found


def page_of(path: Path) -> tuple[str, list[str]]:
    """Run a tutorial and return its page and its pictures as base64 PNGs."""
    with _folder():
        return _page_of(path)


@contextlib.contextmanager
def _folder() -> Iterator[None]:
    """Go to a folder of the tutorial's own, where it may write what it likes."""
    with tempfile.TemporaryDirectory() as place:
        if SCAN54.is_dir():
            (Path(place) / "scan54").symlink_to(SCAN54.resolve())
        with contextlib.chdir(place):
            yield


def _page_of(path: Path) -> tuple[str, list[str]]:
    space: dict[str, Any] = {"__name__": "__main__"}
    page, pictures = [], []
    for markdown, text in cells(path.read_text(encoding="utf-8")):
        if markdown:
            page.append(text)
            continue
        said, shown = _run(text, space)
        page.append(f"```python\n{text}\n```")
        if said.strip():
            page.append(f"```text\n{said.rstrip()}\n```")
        if shown is not None:
            pictures.append(shown)
            page.append(f"![]({path.stem}_{len(pictures)}.png)")
    return "\n\n".join(page) + "\n", pictures


def _run(text: str, space: dict[str, Any]) -> tuple[str, str | None]:
    tree, said, value = ast.parse(text), io.StringIO(), None
    with contextlib.redirect_stdout(said):
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, "tutorial", "exec"), space)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "tutorial", "eval"), space)
    if not hasattr(value, "savefig"):
        return said.getvalue(), None
    drawn = io.BytesIO()
    value.savefig(drawn, format="png", dpi=110)
    pyplot.close("all")
    return said.getvalue(), base64.b64encode(drawn.getvalue()).decode("ascii")


def kept(path: Path) -> tuple[str, list[str]]:
    """Return a tutorial's page and pictures, run only if it or the package has changed.

    With FRIEDEL_TUTORIALS=kept an earlier run of the same script will do, whatever the package: checks of the site's
    links don't wait a minute for it.
    """
    script = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
    earlier = sorted(CACHE.glob(f"{path.stem}-{script}-*.json"))
    if os.environ.get("FRIEDEL_TUTORIALS") == "kept" and earlier:
        page, pictures = json.loads(earlier[-1].read_text(encoding="utf-8"))
        return page, pictures
    digest = hashlib.sha256()
    for source in sorted((ROOT / "src" / "friedel").rglob("*.py")):
        digest.update(source.read_bytes())
    stored = CACHE / f"{path.stem}-{script}-{digest.hexdigest()[:12]}.json"
    if not stored.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{path.stem}-*.json"):
            old.unlink()
        stored.write_text(json.dumps(page_of(path)), encoding="utf-8")
    page, pictures = json.loads(stored.read_text(encoding="utf-8"))
    return page, pictures


def write_all() -> None:
    """Write every tutorial into the site that mkdocs is building."""
    import mkdocs_gen_files

    for path in sorted(FOLDER.glob("*.py")):
        page, pictures = kept(path)
        with mkdocs_gen_files.open(f"tutorials/{path.stem}.md", "w") as file:
            file.write(page)
        for number, picture in enumerate(pictures, start=1):
            with mkdocs_gen_files.open(f"tutorials/{path.stem}_{number}.png", "wb") as file:
                file.write(base64.b64decode(picture))


if "mkdocs" in sys.modules and "mkdocs_gen_files" in sys.modules:
    write_all()
