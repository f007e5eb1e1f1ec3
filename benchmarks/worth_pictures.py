"""Pictures of what a measured collection is worth, cut from its report: `python -m benchmarks.worth_pictures PROJECT NAME`.

Needs Chromium. Writes docs/pictures/worth_NAME_<part>.jpg for each part that the report has, and says which.
"""

import argparse
import shutil
import sys
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

from pipelines.layout import Layout

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
PARTS = {  # by the heading that a part begins with
    "glance": "At a glance",
    "verdicts": "Putting a spare in its place",
    "shapley": "Shapley values",
    "together": "Domains that act together",
    "transfer": "From one domain to another",
    "turns": "One domain after another",
    "likeness": "Does likeness tell what can be replaced?",
}
LAST = {"glance": "Accuracy on held-out domains"}  # a part ends where the next heading begins, or this one
WIDTH = 1120
MARGIN = 24
# top of a heading, and of the heading or section that follows it
EDGES = """([first, last]) => {
  const heads = [...document.querySelectorAll("h2, h3")], at = heads.findIndex(h => h.textContent.trim() === first);
  if (at < 0) return null;
  const after = last ? heads.find(h => h.textContent.trim() === last) : heads[at + 1], section = heads[at].closest("section");
  const end = after && section.contains(after) ? after.getBoundingClientRect().top : section.getBoundingClientRect().bottom;
  return [heads[at].getBoundingClientRect().top + scrollY, end + scrollY];
}"""


def shoot(page: Page, target: Path, part: str) -> bool:
    """Save a part of the open report as a picture; False where the report lacks it."""
    edges = page.evaluate(EDGES, [PARTS[part], LAST.get(part)])
    if edges is None:
        return False
    top, bottom = edges
    clip: FloatRect = {"x": 0, "y": max(0.0, top - MARGIN), "width": WIDTH, "height": bottom - top}
    page.screenshot(path=target, type="jpeg", quality=85, full_page=True, clip=clip)
    return True


def main() -> int:
    """Write the pictures and say which."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.worth_pictures", description=__doc__.splitlines()[0])
    parser.add_argument("project", type=Path, help="a project in which `dvc repro` ended")
    parser.add_argument("name", help="part of the pictures' names")
    asked = parser.parse_args()
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 900})
        page.goto((Layout(asked.project).reports / "index.html").absolute().as_uri())
        made = [part for part in PARTS if shoot(page, FOLDER / f"worth_{asked.name}_{part}.jpg", part)]
        browser.close()
    print(f"wrote {', '.join(made)} -> {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
