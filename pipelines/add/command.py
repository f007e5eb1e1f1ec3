"""The command `add`: look inside, write the card, list the domain."""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from pipelines.add.card import make_card
from pipelines.add.card_text import card_text
from pipelines.add.guess import Guess, as_kind, guess_kind
from pipelines.add.params_file import list_domain
from pipelines.add.plan import Plan, settle
from pipelines.add.prospects import prospects
from pipelines.add.words import Fetching, found, in_flags, say
from pipelines.cards import Card
from pipelines.files import write_text
from pipelines.layout import Layout
from pipelines.licences import UNKNOWN
from pipelines.params import Params, Role, load_params
from pipelines.settings import validate
from pipelines.sources import Look, kind_of
from pipelines.transfer import Place
from pipelines.transfer.fetch import fetch


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
