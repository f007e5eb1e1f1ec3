"""Commands beside the stages: list, check, prune; preset is in a module of its own."""

import argparse
import shutil
import subprocess
import sys

import yaml

from pipelines.cards import load_card
from pipelines.check_command import report_check
from pipelines.files import abandoned, read_json, write_text
from pipelines.layout import Layout
from pipelines.params import Params, load_params
from pipelines.settings import read_yaml


def run(arguments: argparse.Namespace, layout: Layout) -> int:
    """Carry out one of these commands; returns the exit status."""
    if arguments.command == "preset":
        from pipelines.preset import use_preset

        return use_preset(arguments.name, arguments.folder, layout)
    params = load_params(layout.params)
    if arguments.command == "list":
        print(listing(params, layout))
        return 0
    if arguments.command == "prune":
        return prune(params, layout, dry_run=arguments.dry_run, downloads=arguments.downloads)
    return report_check(params, layout, quick=arguments.quick)


def listing(params: Params, layout: Layout) -> str:
    """A table of the listed domains."""
    rows = [["domain", "role", "state", "records", "kept", "classes", "licence"]]
    for name, role in params.domains.items():
        card = load_card(layout.card(name))
        stats_file = layout.domain(name) / "stats.json"
        stats = read_json(stats_file) if stats_file.exists() else {}
        counts = [str(stats.get(field, "-")) for field in ("records", "kept", "classes")]
        rows.append([name, role, state(name, layout), *counts, card.licence])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def state(domain: str, layout: Layout) -> str:
    """How far a domain has come: card, downloaded, embedded, curated, encoded or collected."""
    collected = layout.manifest.exists() and domain in read_json(layout.manifest)["domains"]
    steps = [
        ("collected", collected and (layout.domain(domain) / "stats.json").exists()),
        ("encoded", (layout.encoded(domain) / "source.json").exists()),
        ("curated", (layout.domain(domain) / "stats.json").exists()),
        ("embedded", (layout.embeddings(domain) / "source.json").exists()),
        ("downloaded", (layout.raw(domain) / "source.json").exists()),
    ]
    return next((name for name, reached in steps if reached), "card")


def prune(params: Params, layout: Layout, *, dry_run: bool, downloads: bool) -> int:
    """Remove folders, stage records and lock entries of domains that are no longer listed, and what killed runs left.

    `downloads`: also the kept downloads of all domains.
    """
    folders = [
        layout.raw(""),
        layout.embeddings(""),
        layout.cards,
        layout.features(""),
        layout.encoded(""),
        layout.state / "downloads",
    ]
    doomed = [
        path
        for folder in folders
        if folder.is_dir()
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name not in params.domains and not path.name.startswith(".")
    ]
    places = (layout.root, layout.state / "stages", *folders)
    doomed += [path for folder in places for path in abandoned(folder, params.domains)]
    if downloads:
        doomed += [layout.downloads(name) for name in params.domains if layout.downloads(name).is_dir()]
    doomed += [
        path for path in sorted((layout.state / "stages").glob("*@*.json")) if path.stem.partition("@")[2] not in params.domains
    ]
    stale = _stale_lock_entries(params, layout)
    for path in doomed:
        print(f"{'would remove' if dry_run else 'removed'} {path}")
        if not dry_run:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for entry in stale:
        print(f"{'would remove' if dry_run else 'removed'} {entry} from dvc.lock")
    if stale and not dry_run:
        _drop_lock_entries(stale, layout)
    if not doomed and not stale:
        print("nothing to prune: everything on disk belongs to a listed domain")
    return 0


def _stale_lock_entries(params: Params, layout: Layout) -> list[str]:
    lock = layout.root / "dvc.lock"
    if not lock.exists():
        return []
    stages = read_yaml(lock).get("stages", {})
    return [name for name in stages if "@" in name and name.partition("@")[2] not in params.domains]


def _drop_lock_entries(stale: list[str], layout: Layout) -> None:
    lock = layout.root / "dvc.lock"
    content = read_yaml(lock)
    for name in stale:
        del content["stages"][name]
    write_text(lock, yaml.safe_dump(content, sort_keys=False))


def accept_download(domain: str, layout: Layout) -> int:
    """Tell DVC that what `update` fetched is what the stage makes, so that it does not put the former data back."""
    if (layout.root / "dvc.lock").exists():
        words = [sys.executable, "-m", "dvc", "commit", "--quiet", "--force", f"download@{domain}"]
        done = subprocess.run(words, cwd=layout.root, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(f"dvc commit download@{domain}: {' '.join(done.stderr.split())[:300]}; run it by hand")
    print("Next: dvc repro")
    return 0
