"""The data side's stages as Prefect flows: thin, each a run of `python -m pipelines <stage>`. Import after `server.connect`."""

from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import polars as pl

from pipelines import runners, watched
from pipelines.cards import Card, load_card
from pipelines.collect import collect
from pipelines.curate import curate
from pipelines.embed import embed
from pipelines.encode import encode, needs_pictures
from pipelines.encoders import fit
from pipelines.encoding import choose
from pipelines.files import atomic_folder, read_json
from pipelines.layout import Layout
from pipelines.ledger import OVERRIDES
from pipelines.mapping import one_by_one
from pipelines.meter import Meter
from pipelines.params import Params
from pipelines.pictures import cluster_sheet, contact_sheet
from pipelines.pins import enforce, load_lock, make_lock, save_lock
from pipelines.raw import RawSummary, count_raw, write_raw
from pipelines.sources import kind_of
from pipelines.transfer import Place
from pipelines.transfer.locators import shown


def download_flow(domain: str, params: Params, layout: Layout, *, offline: bool = False, update: bool = False) -> str:
    """Fetch the raw records of a domain into `raw/<domain>/`, as its lock says, and write the lock where there is none.

    With `update`, whatever the source holds now is taken and pinned. Raises SourceChanged if the source is not as pinned;
    what was there before is kept then, and in every other failure.
    """
    card = load_card(layout.card(domain))
    kind = kind_of(card, str(layout.card(domain)))
    made_here = card.source.kind == "generated"
    lock = None if made_here or update else load_lock(layout.lock(domain), card.source)

    def fetch() -> RawSummary:
        show = watched.ProgressArtifact(f"download {domain}")
        with Meter(f"download {domain}", show) as meter, atomic_folder(layout.raw(domain)) as target:
            place = Place(
                layout.root / params.sources_folder,
                layout.downloads(domain),
                domain,
                params.transfer.rules(offline=offline, update=update),
                lock.pinned() if lock else {},
                meter,
            )
            summary = write_raw(kind.records(card.source, place), target, _about(card), meter.converted)
            if lock:
                enforce(lock, summary, card.source, domain)
        if not made_here:
            save_lock(layout.lock(domain), make_lock(card.source, summary, place.came), domain)
        return summary

    def body() -> str:
        summary = watched.run_task("fetch", fetch)
        line = f"{summary.records} raw records, {summary.bytes / 1e6:.1f} MB{_beside(summary, card, layout)}"
        watched.show_markdown(watched.artifact_key("download", domain), f"**{card.title}**: {line}", "What was fetched")
        return line

    return watched.run_flow("download", domain, body)


def _beside(summary: RawSummary, card: Card, layout: Layout) -> str:
    """What else is worth a word: pictures that could not be had, files passed over, fewer records than the card says."""
    notes = []
    if summary.faults:
        notes.append(f"{summary.faults} could not be had ({layout.raw(card.id) / 'failures.parquet'})")
    if summary.passed_over:
        notes.append(f"{summary.passed_over} other files passed over")
    if card.counts and card.counts.images != summary.records:
        notes.append(f"the card says {card.counts.images}")
    return f" ({'; '.join(notes)})" if notes else ""


def _about(card: Card) -> dict[str, str]:
    return {"kind": card.source.kind, "locator": shown(card.source.locator), "checksum": card.source.checksum or ""}


def curate_flow(domain: str, params: Params, layout: Layout) -> str:
    """Examine, deduplicate, balance, split and shard a domain into `collections/<domain>/`; its features go beside."""
    card = load_card(layout.card(domain))
    layout = runners.seen_from_workers(params.runner, layout)

    def body(workers: runners.Workers) -> str:
        batches = watched.Batches(domain, count_raw(layout.raw(domain)), workers)
        with atomic_folder(layout.features(domain)) as features, atomic_folder(layout.domain(domain)) as target:
            stats = curate(card, layout, target, features, params.curation, batches)
        _show_domain(card, stats, layout)
        found = ", ".join(f"{count} {verdict}" for verdict, count in stats["verdicts"].items() if count)
        return f"{stats['records']} records: {found}; {stats['classes']} classes{_groups(stats)}{_by_hand(layout, domain)}"

    with runners.start(params.runner, layout) as workers:
        return watched.run_flow("curate", domain, partial(body, workers), workers)


def _groups(stats: dict[str, Any]) -> str:
    """What the card's group rule found, where it has one."""
    alone = f" ({stats['ungrouped']} records in none)" if stats["ungrouped"] else ""
    return f"; {stats['groups']} groups{alone}" if stats["groups"] else ""


def _by_hand(layout: Layout, domain: str) -> str:
    """How many records hands decided on; nothing where they did on none."""
    hands = pl.read_parquet(layout.domain(domain) / "ledger.parquet", columns=["override"])["override"].drop_nulls()
    counted = [f"{count} {hand}" for hand in OVERRIDES if (count := int((hands == hand).sum()))]
    return f"; by hand: {', '.join(counted)}" if counted else ""


def _show_domain(card: Card, stats: dict[str, Any], layout: Layout) -> None:
    verdicts = [{"verdict": verdict, "records": count} for verdict, count in stats["verdicts"].items()]
    watched.show_table(watched.artifact_key("verdicts", card.id), verdicts, f"Verdicts of {card.id}")
    splits = ", ".join(f"{name} {part['images']} of {part['classes']} classes" for name, part in stats["splits"].items())
    kept = f"{stats['kept']} of {stats['records']} records kept in {stats['classes']} classes"
    parts = [
        f"# {card.title}",
        f"{kept}. Split by {stats['split_by']}: {splits}.",
        f"![contact sheet]({contact_sheet(layout, card.id)})",
    ]
    clusters = cluster_sheet(layout, card.id)
    parts.append(f"## Copies set aside\n\n![clusters]({clusters})" if clusters else "No copies were found.")
    watched.show_markdown(watched.artifact_key("domain", card.id), "\n\n".join(parts), f"What became of {card.id}")
    watched.show_report_link(layout)


def encoder_flow(layout: Layout) -> str:
    """Fit the frozen encoder on its procedural reference set and write it."""

    def body() -> str:
        encoder = watched.run_task("fit", fit)
        encoder.save(layout.encoder)
        return f"encoder of {encoder.dimensions} dimensions, digest {encoder.digest[:12]}"

    return watched.run_flow("encoder", "", body)


def embed_flow(domain: str, params: Params, layout: Layout) -> str:
    """Cache the features of a domain's raw records in `embeddings/<domain>/`."""
    layout = runners.seen_from_workers(params.runner, layout)

    def body(workers: runners.Workers) -> str:
        batches = watched.Batches(domain, count_raw(layout.raw(domain)), workers)
        with atomic_folder(layout.embeddings(domain)) as target:
            images = embed(domain, layout, target, params.curation.max_pixels, batches)
        return f"features of {images} images"

    with runners.start(params.runner, layout) as workers:
        return watched.run_flow("embed", domain, partial(body, workers), workers)


def encode_flow(domain: str, params: Params, layout: Layout) -> str:
    """Write what training reads of a domain's kept images into `encoded/<domain>/`."""
    layout = runners.seen_from_workers(params.runner, layout)
    settings = params.encoding

    def body(workers: runners.Workers | None = None) -> str:
        encoder = choose(settings.encoder, layout, offline=params.transfer.offline)
        images = read_json(layout.domain(domain) / "stats.json")["kept"]
        batches = watched.Batches(domain, images, workers) if workers else one_by_one
        with atomic_folder(layout.encoded(domain)) as target:
            encode(domain, layout, target, encoder, settings.views, params.curation.max_pixels, batches)
        views = f" and {settings.views} views" if settings.views else ""
        return f"{images} images{views} by {encoder.name}, {prod(encoder.row)} numbers each"

    if not needs_pictures(settings.encoder, settings.views):  # workers that have nothing to do need not start
        return watched.run_flow("encode", domain, body)
    with runners.start(params.runner, layout) as workers:
        return watched.run_flow("encode", domain, partial(body, workers), workers)


def collect_flow(params: Params, layout: Layout) -> str:
    """Write the manifest of the collection and the overlap between its domains."""

    def body() -> str:
        manifest = watched.run_task("collect", partial(collect, params, layout))
        rows = [
            {"domain": name, "role": d["role"], "images": d["images"], "classes": d["classes"], "licence": d["licence"]}
            for name, d in manifest["domains"].items()
        ]
        watched.show_table("collection", rows, "The domains of the collection")
        images = sum(row["images"] for row in rows)
        return f"{len(rows)} domains, {images} images, {len(manifest['exclusions'])} exclusions between domains"

    return watched.run_flow("collect", "", body)


def outputs(stage: str, domain: str, layout: Layout) -> list[Path]:
    """What a stage of the data side leaves on disk."""
    return {
        "download": [layout.raw(domain)],
        "encoder": [layout.encoder],
        "embed": [layout.embeddings(domain)],
        "curate": [layout.domain(domain), layout.features(domain)],
        "encode": [layout.encoded(domain)],
        "collect": [layout.manifest, layout.overlap, layout.croissant],
    }[stage]
