"""`python -m pipelines review`: a page of a domain to look at and decide on; its flags here, the rest in `page.py`."""

import argparse
from pathlib import Path

from pipelines.layout import Layout


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `python -m pipelines review` understands."""
    parser.add_argument("domain", metavar="DOMAIN", help="a curated domain")
    parser.add_argument("--open", action="store_true", help="open the page in a browser too")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write it (reports/review-DOMAIN.html)")


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry the command out; what it needs is imported here, for every stage's process reads these flags."""
    from pipelines.review.page import write_page

    target = arguments.output or layout.reports / f"review-{arguments.domain}.html"
    print(f"{target}: {write_page(arguments.domain, layout, target)}")
    if arguments.open:
        import webbrowser

        webbrowser.open(target.resolve().as_uri())
    opened = "decide in it" if arguments.open else "open it, decide"
    print(f"Next: {opened}, download to {layout.overrides(arguments.domain)}, then dvc repro")
    return 0
