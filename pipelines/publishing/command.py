"""`python -m pipelines publish TARGET`: says what would be passed on, and with --push passes it on."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.layout import Layout

if TYPE_CHECKING:
    from pipelines.publishing.plan import Place

HUB = "hub:"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The command's own arguments."""
    command.add_argument("target", metavar="TARGET", help="a folder, or hub:OWNER/NAME for the Hugging Face Hub")
    command.add_argument("--domains", nargs="+", default=[], metavar="DOMAIN", help="only these; else all that are listed")
    command.add_argument("--push", action="store_true", help="do it; without, only say what would be done")
    command.add_argument("--private", action="store_true", help="where a data set on the Hub is new, only its owner sees it")
    command.add_argument(
        "--accept-licence",
        action="append",
        default=[],
        metavar="ID",
        help="a LicenseRef-... or `unknown` whose terms you have read and that allow passing the pictures on (repeatable)",
    )


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry the command out; returns the exit status."""
    from pipelines.params import load_params
    from pipelines.publishing.plan import choose, make_plan
    from pipelines.publishing.told import told

    target: str = arguments.target
    if arguments.private and not target.startswith(HUB):
        raise ValueError(f"--private: {target} is a folder; only data sets on the Hub can be private")
    params = load_params(layout.params)
    cards = choose(arguments.domains, params, layout, arguments.accept_licence)
    place = _place(target, layout)
    plan = make_plan(cards, params, layout, place)
    print(told(plan, target, done=arguments.push), flush=True)
    if arguments.push and target.startswith(HUB):
        from pipelines.publishing.hub import push

        print(f"published at {push(plan, place.name, private=arguments.private)}")
    elif arguments.push:
        from pipelines.publishing.folder import put

        put(plan, Path(target))
        print(f"published in {target}")
    return 0


def _place(target: str, layout: Layout) -> "Place":
    """Where that is. Raises ValueError (one line) if nothing can be published there."""
    from pipelines.publishing.plan import Place

    if target.startswith(HUB):
        from pipelines.publishing.hub import hub_place

        return hub_place(target.removeprefix(HUB))
    if "://" in target:
        raise ValueError(f"{target}: expected a folder, or hub:OWNER/NAME for the Hugging Face Hub")
    from pipelines.publishing.folder import refuse_others

    refuse_others(Path(target), layout)
    return Place(Path(target).resolve().name)
