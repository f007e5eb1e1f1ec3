"""The stages as plain function calls, without Prefect and DVC: what `benchmarks.overhead` compares with."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from pipelines.cards import load_card
from pipelines.files import atomic_folder, read_json
from pipelines.layout import Layout
from pipelines.mapping import Batch
from pipelines.params import Params, load_params

WORKERS = os.cpu_count() or 1


def in_threads(name: str, function: Callable[[Any], Any], batches: Iterable[Batch]) -> Iterator[Any]:
    """The MapBatches of a plain run: as many threads as a flow has."""
    with ThreadPoolExecutor(WORKERS) as pool:
        waiting: deque[Future[Any]] = deque()
        for batch in batches:
            waiting.append(pool.submit(function, batch))
            if len(waiting) > WORKERS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def run(stage: str, domain: str) -> None:
    """Do what the stage does; imports as late as the stage's own process does."""
    layout = Layout()
    params = load_params(layout.params)
    {
        "encoder": _encoder,
        "download": _download,
        "curate": _curate,
        "embed": _embed,
        "encode": _encode,
        "collect": _collect,
        "train": _train,
        "measure": _measure,
        "report": _report,
    }[stage](params, layout, domain)


def _encoder(params: Params, layout: Layout, domain: str) -> None:
    from pipelines.encoders import fit

    fit().save(layout.encoder)


def _download(params: Params, layout: Layout, domain: str) -> None:
    from pipelines.raw import write_raw
    from pipelines.sources import kind_of
    from pipelines.transfer import Place

    card = load_card(layout.card(domain))
    place = Place(layout.root / params.sources_folder, layout.state / "downloads" / domain)
    with atomic_folder(layout.raw(domain)) as target:
        write_raw(kind_of(card, domain).records(card.source, place), target, {"kind": card.source.kind})


def _curate(params: Params, layout: Layout, domain: str) -> None:
    from pipelines.curate import curate

    with atomic_folder(layout.features(domain)) as features, atomic_folder(layout.domain(domain)) as target:
        curate(load_card(layout.card(domain)), layout, target, features, params.curation, in_threads)


def _embed(params: Params, layout: Layout, domain: str) -> None:
    from pipelines.embed import embed

    with atomic_folder(layout.embeddings(domain)) as target:
        embed(domain, layout, target, params.curation.max_pixels, in_threads)


def _encode(params: Params, layout: Layout, domain: str) -> None:
    from pipelines.encode import encode
    from pipelines.encoding import choose

    settings = params.encoding
    encoder = choose(settings.encoder, layout, offline=params.transfer.offline)
    with atomic_folder(layout.encoded(domain)) as target:
        encode(domain, layout, target, encoder, settings.views, params.curation.max_pixels, in_threads)


def _collect(params: Params, layout: Layout, domain: str) -> None:
    from pipelines.collect import collect

    collect(params, layout)


def _train(params: Params, layout: Layout, domain: str) -> None:
    from training.train_stage import train_main

    train_main(params, layout)


def _measure(params: Params, layout: Layout, domain: str) -> None:
    from training.learner import load_learner
    from training.measure.run import measure
    from training.measure.stage import planned

    asked = planned(params, layout, read_json(layout.manifest))
    results = measure(asked.trial, asked.plan, learner=load_learner(layout.model), workers=WORKERS)
    with atomic_folder(layout.measurement) as target:
        results.write_parquet(target / "results.parquet")


def _report(params: Params, layout: Layout, domain: str) -> None:
    from training.report import write_report

    write_report(layout)
