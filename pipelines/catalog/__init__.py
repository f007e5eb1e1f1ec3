"""`python -m pipelines catalog`: its flags here, the search over the cards in `search.py`."""

import argparse

from pipelines.layout import Layout
from pipelines.sources import KINDS

SIZES = ("micro", "mini", "extended")  # of the Meta-Album data sets; the last word of their ids


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `python -m pipelines catalog` understands."""
    parser.add_argument("words", metavar="WORD", nargs="*", help="occurs in the id, title, subject or description; all must")
    parser.add_argument("--subject", help="occurs in the subject, e.g. plants or 'remote sensing'")
    parser.add_argument(
        "--licence", action="append", default=[], help="SPDX, or a pattern such as 'CC-BY*'; may be given again"
    )
    parser.add_argument("--max-images", type=int, metavar="N", help="at most so many, as the source states them")
    parser.add_argument("--min-classes", type=int, metavar="N", help="at least so many, as the source states them")
    parser.add_argument("--kind", choices=KINDS, help="kind of source")
    parser.add_argument("--size", choices=SIZES, help="size of a Meta-Album data set")


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry the command out; what it needs is imported here, for every stage's process reads these flags."""
    from pipelines.catalog.search import run

    return run(arguments, layout)
