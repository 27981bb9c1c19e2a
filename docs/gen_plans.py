"""Write the page of plans to copy: whoever installed the package alone has no folder of them.

Run by mkdocs (plugin gen-files) at every build.
"""

from pathlib import Path

import mkdocs_gen_files

PLANS = Path(__file__).resolve().parents[1] / "plans"

parts = [
    "# Plans to copy",
    "Save one under a name of your own, change what is yours, and check it: `friedel validate my_plan.yaml`. "
    "In a checkout they lie in `plans/`.",
]
for path in sorted(PLANS.glob("*.yaml")):
    parts += [f"## {path.name}", f"```yaml\n{path.read_text(encoding='utf-8').rstrip()}\n```"]
with mkdocs_gen_files.open("plans.md", "w") as text:
    text.write("\n\n".join(parts) + "\n")
