"""What `add` settles first, so that what would fail at the end fails before anything is fetched: address, id, role, licence."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pipelines.add.address import Address, address_of
from pipelines.add.naming import TAKEN, domain_id, licence_of_source, spdx, stem
from pipelines.add.params_file import read_text, with_domain
from pipelines.cards import DOMAIN_ID, card_files, load_card
from pipelines.layout import Layout
from pipelines.licences import UNKNOWN
from pipelines.params import Params, Role
from pipelines.transfer.locators import is_remote, shown

# flags whose words go into the card
OF_THE_CARD = (
    *("title", "subject", "description", "licence", "citation", "homepage", "min_per_class"),
    *("image_column", "label_column", "layout", "table", "config", "split", "revision", "kind", "option"),
)


class Plan(NamedTuple):
    """What is settled before anything is fetched."""

    address: Address
    name: str  # of the source, as it is spoken of
    told: str  # the part of that which tells what it holds
    domain: str
    role: Role
    licence: str | None
    notes: list[str]
    known: bool = False  # its card is there: all that it lacks is a line in params.yaml


def settle(arguments: argparse.Namespace, params: Params, layout: Layout) -> Plan:
    """Address, id, role and licence. Raises ValueError (one line) for what would fail at the end."""
    address = address_of(arguments.source, layout.root / params.sources_folder, arguments.kind)
    name, told = names_of(address)
    card = None if arguments.id else _card_of(address.locator, layout)
    known = card is not None and not arguments.force
    if card is None:
        domain, notes = _new_domain(arguments, told, layout)
    else:
        domain, notes = card.stem, []
    if known:
        _check_known(arguments, domain, params, layout)
    role: Role = arguments.role or params.domains.get(domain, "train")
    if not arguments.no_list:
        with_domain(read_text(layout.params), domain, role, str(layout.params), replace=arguments.force)
    licence = None if arguments.licence is None else licence_of_user(arguments.licence)
    return Plan(address, name, told, domain, role, licence, notes, known)


def licence_of_user(text: str) -> str:
    """The licence that the user names, as SPDX writes it. Raises ValueError if that is not certain."""
    certain = spdx(text)
    if certain is not None:
        return certain
    suggested, _ = licence_of_source(text)
    raise ValueError(
        f"--licence: {text!r} is no SPDX licence for certain (spdx.org/licenses); say its id, {suggested} or {UNKNOWN}"
    )


def _new_domain(arguments: argparse.Namespace, told: str, layout: Layout) -> tuple[str, list[str]]:
    """The id of a new card, and what is to be said of it."""
    if arguments.id is not None:
        if not DOMAIN_ID.fullmatch(arguments.id) or arguments.id in TAKEN:
            raise ValueError(
                f"--id: expected a-z, 0-9 and _, starting with a letter, at most 40 characters, none of {', '.join(TAKEN)}; "
                f"found {arguments.id!r}"
            )
        if layout.card(arguments.id).exists() and not arguments.force:
            raise ValueError(f"{layout.card(arguments.id)}: is there already; --force replaces it, --id names another")
        return arguments.id, []
    wanted = domain_id(told)
    if arguments.force or not layout.card(wanted).exists():
        return wanted, []
    free = domain_id(told, {card.stem for card in card_files(layout.cards)})
    return free, [f"its id is {free}, for {wanted} is there already"]


def _card_of(locator: str, layout: Layout) -> Path | None:
    """The card that names this source, if there is one."""
    for path in card_files(layout.cards):
        with suppress(ValueError):
            source = load_card(path).source if locator in path.read_text(encoding="utf-8") else None
            if source is not None and source.kind != "generated" and source.locator == locator:
                return path
    return None


def _check_known(arguments: argparse.Namespace, domain: str, params: Params, layout: Layout) -> None:
    """Raise ValueError unless listing the card is all that is asked for."""
    given = next((name for name in OF_THE_CARD if getattr(arguments, name) is not None), None)
    if domain in params.domains or arguments.no_list or given is not None:
        asked = f" (what --{given.replace('_', '-')} says is not in it)" if given else ""
        raise ValueError(
            f"{layout.card(domain)}: is the card of this source already{asked}; --force replaces it, --id makes another"
        )


def names_of(address: Address) -> tuple[str, str]:
    """What the source is called when it is spoken of, and the part of that which tells what it holds."""
    if address.form == "openml":
        return f"openml:{address.locator}", f"openml_{address.locator}"
    if address.form == "hub":
        return address.locator, stem(address.locator)
    whole = shown(address.locator)
    if is_remote(whole):
        return whole, stem(whole.partition("?")[0].partition("://")[2])
    path = Path(whole) if address.form == "pattern" or address.path is None else address.path.resolve()
    return Path(whole).name or path.name, stem(str(path))
