"""`python -m pipelines add SOURCE`: a card for the user's own pictures, written after a look inside, and a line in params.yaml.

    $ python -m pipelines add ~/pictures/pebbles.zip --licence CC-BY-4.0 --subject stones
    looked into pebbles.zip: a zip
      5 classes, 412 pictures, 25.0 MB; smallest class 14 (granite), largest 200 (flint)
      classes: flint 200, basalt 96, quartz 70, gneiss 32, granite 14
      each picture's class is the name of the folder that it lies in
      3 files or rows make no record
    wrote collections/pebbles.yaml
    listed it in params.yaml as train
    Next: dvc repro

SOURCE is a folder, a zip or tar, a Parquet file, a pattern of WebDataset shards, a table of picture addresses, a URL of one of
these, a data set of the Hugging Face Hub (user/name) or of OpenML (openml:44241). On a terminal, subject, licence and title are
asked for where neither a flag nor the source gives them. A source that has a card here already is only listed.
"""

import argparse
from typing import get_args

from pipelines.cards import Label
from pipelines.layout import Layout
from pipelines.params import Role
from pipelines.sources import KINDS

ADDABLE = tuple(kind for kind in KINDS if kind != "generated")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `add`, and its help."""
    parser.description, parser.formatter_class = __doc__, argparse.RawDescriptionHelpFormatter
    parser.add_argument("source", metavar="SOURCE", help="folder, archive, shards, table, URL, user/name or openml:ID")
    text = {
        "id": "name of the domain (default: made of the source's name)",
        "title": "title of the card",
        "subject": "what the pictures show, in a word or two, e.g. stones",
        "description": "a sentence or more about the pictures (default: their number and where they are from)",
        "licence": "SPDX licence, e.g. CC-BY-4.0, or unknown",
        "citation": "whom to cite",
        "homepage": "address of a page about the pictures",
        "image-column": "column, or suffix in shards, that holds, names or addresses the picture",
        "label-column": "column, or member in shards, that holds the class",
        "table": "label table within a folder or an archive",
        "config": "of a data set of the Hub: which of its configurations",
        "revision": "of a data set of the Hub: a branch, a tag or a commit",
    }
    for name, words in text.items():
        parser.add_argument(f"--{name}", help=words)
    layouts = [name for part in get_args(Label.model_fields["layout"].annotation) for name in get_args(part)]
    parser.add_argument("--kind", choices=ADDABLE, help="what SOURCE is, where the guess is wrong")
    parser.add_argument("--layout", choices=layouts, help="how a folder or an archive says the class")
    parser.add_argument("--split", action="append", help="of a data set of the Hub: which split; may be given again")
    parser.add_argument("--option", action="append", metavar="NAME=VALUE", help="of source.options; may be given again")
    parser.add_argument("--role", choices=get_args(Role), help="role in params.yaml (default: train)")
    parser.add_argument("--min-per-class", type=int, metavar="N", help="keep classes of N pictures or more in this domain")
    parser.add_argument("--no-list", action="store_true", help="write the card only, leave params.yaml alone")
    parser.add_argument("--force", action="store_true", help="replace a card, and a role, that is there")
    parser.add_argument("--yes", action="store_true", help="ask nothing")
    parser.add_argument("--offline", action="store_true", help="use only what was fetched before")


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry the command out; what it needs is imported here, for every stage's process reads these flags."""
    from pipelines.add.command import run

    return run(arguments, layout)
