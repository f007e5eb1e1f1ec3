"""The data side's command line: `python -m pipelines --help`."""

import argparse
import os
import sys
from pathlib import Path

# parallelism is over batches; threads inside a matrix product would fight them, and make results depend on the machine
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

from pipelines import add, catalog, review
from pipelines.cards import load_card
from pipelines.cli import guarded, run_stage
from pipelines.layout import Layout
from pipelines.params import Params, load_params
from pipelines.publishing import command as publish


def parser() -> argparse.ArgumentParser:
    """Every command with its help."""
    top = argparse.ArgumentParser(prog="python -m pipelines", description="Curate domains into a collection.")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    stages = {
        "download": "fetch a domain's raw records into raw/DOMAIN/",
        "embed": "cache the features of a domain's raw records in embeddings/DOMAIN/",
        "curate": "examine, deduplicate, balance, split and shard a domain into collections/DOMAIN/",
        "encode": "write what training reads of a domain's kept images into encoded/DOMAIN/",
    }
    for name, text in stages.items():
        command = commands.add_parser(name, help=f"stage: {text}", description=text)
        command.add_argument("domain", metavar="DOMAIN", help="a domain listed in params.yaml")
        if name == "download":
            command.add_argument("--offline", action="store_true", help="use only what is on this machine already")
    commands.add_parser("encoder", help="stage: fit the frozen encoder on its procedural reference pictures")
    commands.add_parser("collect", help="stage: write the collection's manifest and the overlap between domains")
    commands.add_parser("by_hand", help="stage: lay out what hands decided (collections/DOMAIN.overrides.yaml), a file a card")
    new = commands.add_parser("add", help="look into a folder, archive, URL, hub id or shards; write its card and list it")
    add.add_arguments(new)
    found = commands.add_parser("catalog", help="search the cards that are here by words, subject, licence and size")
    catalog.add_arguments(found)
    looked = commands.add_parser("review", help="make a page of a curated domain on which to keep, drop and relabel by hand")
    review.add_arguments(looked)
    update = commands.add_parser("update", help="ask a domain's source again and take what it holds now, against the lock")
    update.add_argument("domain", metavar="DOMAIN", help="a domain listed in params.yaml")
    passed_on = commands.add_parser("publish", help="put curated domains into a folder or on the Hugging Face Hub")
    publish.add_arguments(passed_on)
    commands.add_parser("list", help="show domains: role, state, images, classes, licence")
    verify = commands.add_parser(
        "check", help="verify all that is on disk, and look for copies in the shards that leak; exit status 0 or 1"
    )
    verify.add_argument("--quick", action="store_true", help="leave out the search for copies in the shards")
    prune = commands.add_parser("prune", help="remove what belongs to domains that params.yaml no longer lists")
    prune.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    prune.add_argument("--downloads", action="store_true", help="also the kept downloads of domains that are listed")
    preset = commands.add_parser(
        "preset", help="put a preset of presets/ in the place of params.yaml, or a rule into it (the old one is kept as .bak)"
    )
    preset.add_argument("name", metavar="NAME", help="the preset's name, e.g. default, real or rules/micro")
    preset.add_argument("--folder", help="where cards' relative file names start (sources_folder)")
    ui = commands.add_parser("ui", help="reach or start the Prefect server and print the address of its UI")
    ui.add_argument("--open", action="store_true", help="open it in a browser too")
    commands.add_parser("stop", help="stop the Prefect server that we started")
    return top


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry out one parsed command; imports only what it needs, for each stage is a process of its own."""
    command: str = arguments.command
    if command in ("ui", "stop"):
        return _serve(arguments, layout)
    if command == "add":
        return add.run(arguments, layout)
    if command == "catalog":
        return catalog.run(arguments, layout)
    if command == "publish":
        return publish.run(arguments, layout)
    if command == "by_hand":
        from pipelines.overrides import lay_out

        print(f"by_hand: {lay_out(layout)} -> {layout.seen}")
        return 0
    if command == "review":
        return review.run(arguments, layout)
    if command in ("list", "check", "prune", "preset"):
        from pipelines import housekeeping

        return housekeeping.run(arguments, layout)
    params = load_params(layout.params)
    domain = getattr(arguments, "domain", "")
    if domain:
        _usable(domain, params, layout)
    from pipelines import server

    server.connect(layout)
    from pipelines import flows

    flow = {
        "download": lambda: flows.download_flow(domain, params, layout, offline=getattr(arguments, "offline", False)),
        "update": lambda: flows.download_flow(domain, params, layout, update=True),
        "curate": lambda: flows.curate_flow(domain, params, layout),
        "encode": lambda: flows.encode_flow(domain, params, layout),
        "encoder": lambda: flows.encoder_flow(layout),
        "embed": lambda: flows.embed_flow(domain, params, layout),
        "collect": lambda: flows.collect_flow(params, layout),
    }[command]
    stage = "download" if command == "update" else command
    status = run_stage(layout, stage, domain, flow, flows.outputs(stage, domain, layout))
    if command != "update":
        return status
    from pipelines.housekeeping import accept_download

    return accept_download(domain, layout)


def _usable(domain: str, params: Params, layout: Layout) -> None:
    if domain not in params.domains:
        raise ValueError(f"{layout.params}: domains: {domain!r} is not listed; listed are {', '.join(params.domains)}")
    params.require_allowed(domain, load_card(layout.card(domain)).licence, layout.params)


def _serve(arguments: argparse.Namespace, layout: Layout) -> int:
    from pipelines import server

    if arguments.command == "stop":
        print("stopped the Prefect server" if server.stop(layout) else "no Prefect server of ours was running")
        return 0
    address = server.connect(layout)
    print(f"Prefect UI: {address}")
    if arguments.open:
        import webbrowser

        webbrowser.open(address)
    return 0


def main(words: list[str] | None = None, root: Path | None = None) -> int:
    """Entry point; returns the exit status."""
    arguments = parser().parse_args(words)
    return guarded(lambda: run(arguments, Layout(root or Path())))


if __name__ == "__main__":
    sys.exit(main())
