"""One fuzz case: a damaged input made from a seed, brought through the real functions, and what must hold afterwards.

    python tests/fuzzed.py SEED [FOLDER]

runs one case and keeps its input in FOLDER.
"""

import os
import resource
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import polars as pl
from fuzzed_archives import archive_case, plain_archive
from fuzzed_cards import card_case
from fuzzed_pictures import broken, whole
from fuzzed_tables import table_case

from pipelines.cards import Label, Source, load_card
from pipelines.curate import decide, one_by_one, write_domain
from pipelines.examine import examine
from pipelines.ledger import faults
from pipelines.params import Curation
from pipelines.pins import source_digest
from pipelines.raw import read_raw, write_raw
from pipelines.sources import RawRecord, archive, kind_of
from pipelines.transfer import Place

SETTINGS = Curation(min_side=4, min_per_class=1, cap_per_class=50, image_side=16, max_pixels=4_000_000)
KINDS = ("archive",) * 5 + ("table",) * 2 + ("pictures",) * 2 + ("card",)
MEMORY = 1 << 30  # bytes by which one case may raise the process's peak
WRITTEN = {"records-00000.parquet", "planted.parquet", "failures.parquet", "source.json"}


class Outcome(NamedTuple):
    """What became of a case: `fault` None if all held; `said` the refusal, or what was read."""

    kind: str
    said: str
    fault: str | None = None


def run_case(seed: int, folder: Path) -> Outcome:
    """Make the input of a seed in `folder` and run it. Nothing may be left outside `folder/target`."""
    rng = Random(seed)
    kind = KINDS[seed % len(KINDS)]
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "target").mkdir(parents=True)
    (folder / "sentinel.txt").write_text("stays")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        said = _card(rng, folder) if kind == "card" else _records(rng, kind, folder)
    except ValueError as error:
        said = f"refused: {error}"
        if len(str(error).splitlines()) != 1 or "Traceback" in str(error):
            return Outcome(kind, said, f"a message of other than one line: {error!r}")
        if not str(error).isprintable():
            return Outcome(kind, said, f"a message with control characters: {error!r}")
    except Exception as error:
        return Outcome(kind, "", f"{type(error).__name__}: {error}")
    if (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) << 10 > MEMORY:
        return Outcome(kind, said, "more memory than such a small input may take")
    return Outcome(kind, said, _outside(folder))


def _card(rng: Random, folder: Path) -> str:
    path = folder / "pebbles.yaml"
    path.write_bytes(card_case(rng))
    card = load_card(path)
    kind_of(card, "pebbles")
    return f"taken: {card.source.kind} {source_digest(card.source)}"


def _records(rng: Random, kind: str, folder: Path) -> str:
    label = rng.choice((Label(), Label(), Label(layout="folders")))
    if kind == "archive":
        data = archive_case(rng, folder)
    elif kind == "table":
        members, label = table_case(rng)
        data = plain_archive(rng, members)
    else:
        data = plain_archive(rng, dict(_folders(rng)))
    (folder / "input").write_bytes(data)
    source = Source(kind="archive", locator="input", label=label)
    target = folder / "target"
    came: list[RawRecord] = []

    def seen() -> Iterator[RawRecord]:
        learned = yield from _noted(archive.records(source, Place(folder, target)), came)
        return learned  # noqa: B901

    summary = write_raw(seen(), target, {"locator": "input"})
    assert summary.records == len(came), "another number of records was written than came"
    if rng.random() < 0.05:
        again = list(archive.records(source, Place(folder, target)))
        assert again == came, "read twice, it is not the same"
    return _curated(came, target, kind)


def _folders(rng: Random) -> Iterator[tuple[str, bytes]]:
    for number in range(rng.randrange(6, 14)):
        suffix, data = broken(rng) if rng.random() < 0.7 else whole(rng)
        yield f"class{number % 3}/{number}.{suffix}", data


def _noted(records: Iterator[RawRecord], came: list[RawRecord]) -> Iterator[RawRecord]:
    while True:
        try:
            record = next(records)
        except StopIteration as end:
            return end.value
        came.append(record)
        yield record


def _curated(came: list[RawRecord], target: Path, kind: str) -> str:
    assert {path.name for path in target.iterdir()} == WRITTEN, "other files than those of raw records"
    batches = list(read_raw(target))
    assert [row[:3] for batch in batches for row in batch.iter_rows()] == [tuple(record[:3]) for record in came]
    examined = pl.concat([examine(batch, SETTINGS) for batch in batches])
    ledger, _, _ = decide(examined, SETTINGS, "pebbles")
    assert ledger["source_id"].to_list() == [record.source_id for record in came], "a record was lost"
    assert faults(ledger) == [], faults(ledger)
    if kind == "pictures":
        shards = target / "shards"
        shards.mkdir()
        write_domain(target, shards, ledger, SETTINGS, one_by_one)
        kept = ledger.filter(pl.col("verdict") == "kept").height
        assert pl.read_parquet(shards / "index.parquet").height == kept, "another number of pictures in the shards"
    return f"read: {ledger['verdict'].value_counts(sort=True).rows()}"


def _outside(folder: Path) -> str | None:
    """What was written where nothing may be."""
    allowed = {"target", "sentinel.txt", "input", "pebbles.yaml"}
    strange = [path.name for path in folder.iterdir() if path.name not in allowed]
    strange += [path.name for path in folder.parent.iterdir() if path != folder and path.name != "run"]
    if (folder / "sentinel.txt").read_text() != "stays":
        strange.append("sentinel.txt")
    return f"written outside: {strange}" if strange else None


if __name__ == "__main__":
    work = Path(sys.argv[2] if len(sys.argv) > 2 else "fuzzed").resolve()
    (work / "parent" / "run").mkdir(parents=True, exist_ok=True)
    os.chdir(work / "parent" / "run")
    print(run_case(int(sys.argv[1]), work / "parent" / "case"))
