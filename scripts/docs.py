"""Build the generated pages of `docs/` and check every link of every page.

It writes only what a generator of the package or the stored measurements give, and fetches nothing: a link to a site
is not followed.
Rule: a broken link fails the build and is named with its page.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = "interlock.surfaces.reference"
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def main() -> int:
    """Generate, check, and return the exit code."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if importlib.util.find_spec(GENERATOR):
        subprocess.run([sys.executable, "-m", GENERATOR, str(ROOT / "docs" / "reference")], check=True)
    for tables in ("scripts.results", "scripts.peers"):
        subprocess.run([sys.executable, "-m", tables], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    broken = broken_links(pages)
    print(*broken, sep="\n", end="\n" if broken else "")
    print(f"{len(pages)} pages, {len(broken)} broken links")
    return 1 if broken else 0


def broken_links(pages: Iterable[Path]) -> list[str]:
    """Every `page: target` whose file or heading does not exist."""
    return [
        f"{page.relative_to(ROOT).as_posix()}: {target}"
        for page in sorted(pages)
        for target in link_targets(page.read_text(encoding="utf-8"))
        if not leads_somewhere(page, target)
    ]


def link_targets(text: str) -> list[str]:
    """The targets of the links of a page, code blocks left out."""
    return LINK.findall(FENCED.sub("", text))


def leads_somewhere(page: Path, target: str) -> bool:
    """Whether a relative link names a file and, after `#`, one of its headings."""
    if re.match(r"[a-z]+:", target):
        return True
    name, _, heading = target.partition("#")
    file = (page.parent / name) if name else page
    return file.exists() and (not heading or heading in anchors(file))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings: lower case, words joined by hyphens."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCED.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


if __name__ == "__main__":
    sys.exit(main())
