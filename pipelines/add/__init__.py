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
import sys
from pathlib import Path
from typing import Any, get_args

import yaml

from pipelines.add.card import make_card
from pipelines.add.card_text import card_text
from pipelines.add.guess import ADDABLE, Guess, as_kind, guess_kind
from pipelines.add.params_file import list_domain
from pipelines.add.plan import Plan, settle
from pipelines.add.prospects import prospects
from pipelines.add.words import Fetching, found, in_flags, say
from pipelines.cards import Card, Label
from pipelines.files import write_text
from pipelines.layout import Layout
from pipelines.licences import UNKNOWN
from pipelines.params import Params, Role, load_params
from pipelines.settings import validate
from pipelines.sources import Look, kind_of
from pipelines.transfer import Place


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
    """Look, write the card, list the domain; returns 0. Raises ValueError (one line) and leaves all as it was."""
    params = load_params(layout.params)
    plan = settle(arguments, params, layout)
    if plan.known:
        say(f"{layout.card(plan.domain)} is the card of this source")
        list_domain(layout.params, plan.domain, plan.role)
        _tell_listed(plan, layout)
        return 0
    meter = Fetching()
    rules = params.transfer.rules(offline=arguments.offline)
    place = Place(layout.root / params.sources_folder, layout.downloads(plan.domain), plan.domain, rules, meter=meter)
    try:
        guess, look = look_inside(arguments, plan, place)
    finally:
        meter.close()
    say(f"looked into {plan.name}: {guess.what}")
    for line in (*found(look), *prospects(look.classes or {}, plan.role, params, arguments.min_per_class), *plan.notes):
        say(line if line.startswith("warning") else f"  {line}")
    card = make_card(arguments, plan, look, asking=sys.stdin.isatty() and not arguments.yes)
    _remark(card, params, layout)
    write(card, None if arguments.no_list else plan.role, layout, replace=arguments.force)
    say(f"wrote {layout.card(card.id)}")
    if arguments.no_list:
        say(f"Next: a line `{card.id}: {plan.role}` under domains in {layout.params}, then dvc repro")
    else:
        _tell_listed(plan, layout)
    return 0


def look_inside(arguments: argparse.Namespace, plan: Plan, place: Place) -> tuple[Guess, Look]:
    """What kind of source it is and what it holds. Raises ValueError (one line, naming flags), or TransferError."""
    from pipelines.transfer.fetch import fetch  # brings httpx, which no other command needs at its start

    try:
        if arguments.kind:
            guess = as_kind(arguments.kind, plan.address, place.folder)
        else:
            guess = guess_kind(plan.address, place.folder, lambda locator: fetch(locator, place))
        source = {"kind": guess.kind, "locator": guess.locator, **_asked(arguments)}
        stand_in = {"id": plan.domain, "title": "-", "domain": "-", "description": "-", "licence": UNKNOWN}
        card = validate(Card, stand_in | {"source": source}, plan.name)
        return guess, kind_of(card, plan.name).look(card.source, place)
    except ValueError as error:
        raise ValueError(in_flags(str(error))) from None


def _asked(arguments: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """What the flags say of the source's label and options."""
    label = {
        "layout": arguments.layout or ("table" if arguments.table else None),
        "table": arguments.table,
        "image_column": arguments.image_column,
        "column": arguments.label_column,
    }
    split = arguments.split[0] if arguments.split and len(arguments.split) == 1 else arguments.split
    options = {"config": arguments.config, "split": split, "revision": arguments.revision}
    for text in arguments.option or []:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise ValueError(f"--option: expected NAME=VALUE, found {text!r}")
        options[name] = _value(value)
    given = {"label": label, "options": options}
    return {part: {name: value for name, value in each.items() if value is not None} for part, each in given.items()}


def _value(text: str) -> Any:
    """What a card means by this word: a number, true or false, a list, else a text."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return text
    return value if isinstance(value, bool | int | float | list) else text


def write(card: Card, role: Role | None, layout: Layout, *, replace: bool = False) -> None:
    """Write the card, then list it, if in a role; where that fails, the card is as it was before."""
    path = layout.card(card.id)
    before = path.read_text(encoding="utf-8") if path.exists() else None
    write_text(path, card_text(card))
    try:
        if role is not None:
            list_domain(layout.params, card.id, role, replace=replace)
    except BaseException:
        if before is None:
            path.unlink()
        else:
            write_text(path, before)
        raise


def _tell_listed(plan: Plan, layout: Layout) -> None:
    say(f"listed it in {layout.params} as {plan.role}")
    say("Next: dvc repro")


def _remark(card: Card, params: Params, layout: Layout) -> None:
    """Say what the user had better know of the card."""
    unknown = [name for name, value in (("licence", card.licence), ("subject", card.domain)) if value == UNKNOWN]
    if unknown:
        say(f"  {' and '.join(unknown)}: {UNKNOWN}; the card is the place to say so once you know")
    if Path(card.source.locator).is_absolute():
        say(f"  the card names {card.source.locator}, which is on this machine alone; below sources_folder it could travel")
    try:
        params.require_allowed(card.id, card.licence, layout.params)
    except ValueError as error:
        say(f"warning: {error}")
