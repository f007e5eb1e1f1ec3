"""Make the pictures of the README from the last run: `make pictures` (after `make run`; the report's needs Chromium).

Writes docs/pictures/pipeline.svg, collection.jpg (sheets of every listed domain) and report.jpg (the report's first screen).
"""

import shutil
import sys
from pathlib import Path

from PIL import Image

from pipelines.layout import Layout
from pipelines.params import load_params
from pipelines.pictures import contact_image

FOLDER = Path(__file__).parent / "pictures"
BOXES = [  # label, what it makes, whether there is one for each domain
    ("download", "raw/DOMAIN", True),
    ("embed", "embeddings/DOMAIN", True),
    ("curate", "collections/DOMAIN", True),
    ("encode", "encoded/DOMAIN", True),
    ("collect", "manifest.json", False),
    ("train", "models/learner", False),
    ("measure", "models/measurement", False),
    ("report", "reports/", False),
]
WIDTH, HEIGHT, GAP = 124, 54, 22


def pipeline() -> str:
    """The stages from left to right; a stack of boxes where each domain has its own."""
    parts = []
    for number, (label, made, stacked) in enumerate(BOXES):
        x, y = 8 + number * (WIDTH + GAP), 40
        for shift in (12, 6, 0) if stacked else (0,):
            parts.append(f'<rect x="{x + shift}" y="{y - shift}" width="{WIDTH}" height="{HEIGHT}" rx="8" class="box"/>')
        parts.append(f'<text x="{x + WIDTH / 2}" y="{y + 24}" class="name">{label}</text>')
        parts.append(f'<text x="{x + WIDTH / 2}" y="{y + 42}" class="made">{made}</text>')
        if number:
            start = x - GAP + (14 if BOXES[number - 1][2] else 3)
            parts.append(f'<path d="M{start} {y + HEIGHT / 2}H{x - 4}" class="arrow"/>')
    total = 8 + len(BOXES) * (WIDTH + GAP)
    left = "one of each a domain: a swap runs these four for the new domain only"
    notes = [(8, left), (8 + 4 * (WIDTH + GAP), "once a collection")]
    parts += [f'<text x="{x}" y="122" class="note">{text}</text>' for x, text in notes]
    style = (
        ".box{fill:#f3f6f4;stroke:#3c6e71;stroke-width:1.5}.name{font:600 15px sans-serif;text-anchor:middle;fill:#1b2a2b}"
        ".made{font:11px monospace;text-anchor:middle;fill:#4d5b5c}.note{font:12px sans-serif;fill:#6b7778}"
        ".arrow{stroke:#3c6e71;stroke-width:1.5;marker-end:url(#tip)}"
    )
    tip = '<marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    tip += '<path d="M0 0L8 4L0 8z" fill="#3c6e71"/></marker>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {total} 136" width="{total}" role="img">'
    return f"{head}<title>The stages of Tessera</title><style>{style}</style><defs>{tip}</defs>{''.join(parts)}</svg>\n"


def collection(layout: Layout) -> Image.Image:
    """Sheets of all listed domains, three in a row, each of 6 classes and 8 samples."""
    domains = load_params(layout.params).domains
    sheets = [contact_image(layout.domain(name), n_classes=6, n_samples=8, side=36) for name in domains]
    width, height = max(sheet.width for sheet in sheets) + 12, max(sheet.height for sheet in sheets) + 12
    rows = -(-len(sheets) // 3)
    whole = Image.new("RGB", (3 * width, rows * height), "white")
    for number, sheet in enumerate(sheets):
        whole.paste(sheet, ((number % 3) * width + 6, (number // 3) * height + 6))
    return whole


def report(layout: Layout, target: Path) -> None:
    """The report's first screen at 1280 px."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto((layout.reports / "index.html").absolute().as_uri())
        page.screenshot(path=target, type="jpeg", quality=80)
        browser.close()


def main() -> int:
    """Write the pictures that can be made here and say which."""
    layout = Layout(Path(__file__).parents[1])
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "pipeline.svg").write_text(pipeline(), encoding="utf-8")
    collection(layout).save(FOLDER / "collection.jpg", quality=82)
    made = ["pipeline.svg", "collection.jpg"]
    if shutil.which("chromium"):
        report(layout, FOLDER / "report.jpg")
        made.append("report.jpg")
    print(f"wrote {', '.join(made)} -> {FOLDER}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
