"""One fuzz case: a damaged input made from a seed, brought through the real functions, and what must hold afterwards.

    python tests/fuzzed.py FOLDER FIRST [LAST]

runs the cases FIRST to LAST (one if it is left out) and says each one's beginning and outcome; FOLDER holds the last input,
and the folder that FUZZ_KEEP names each one that showed a fault.
"""

import os
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import polars as pl
from fuzzed_archives import archive_case, plain_archive
from fuzzed_cards import CARD as FIELDS
from fuzzed_cards import card_case
from fuzzed_pictures import broken, whole
from fuzzed_shards import shard_case
from fuzzed_tables import table_case

from pipelines.cards import Card, Label, Source, load_card
from pipelines.copies.store import ThumbRows
from pipelines.copies.thumbs import rows_of
from pipelines.curate import decide, write_domain
from pipelines.curation import Curation
from pipelines.examine import examine
from pipelines.features import Features
from pipelines.ledger import faults
from pipelines.mapping import one_by_one
from pipelines.pins import source_digest
from pipelines.raw import read_raw, write_raw
from pipelines.sources import Kind, RawRecord, kind_of
from pipelines.transfer import Place

SETTINGS = Curation(min_side=4, min_per_class=1, cap_per_class=50, image_side=16, max_pixels=4_000_000)
CARD = Card(**FIELDS)
KINDS = ("archive", "table", "pictures", "card", "archive", "table", "archive", "pictures", "card", "shards")
MEMORY = 1 << 30  # bytes by which one case may raise the process's peak
SPACE = 8 << 30  # bytes of addresses; libraries reserve more than they use
WRITTEN = {"records-00000.parquet", "planted.parquet", "failures.parquet", "source.json", "SHA256SUMS"}


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
    if kind == "shards":
        data, label = shard_case(rng)
    elif kind == "archive":
        data = archive_case(rng, folder)
    elif kind == "table":
        members, label = table_case(rng)
        data = plain_archive(rng, members)
    else:
        data = plain_archive(rng, dict(_folders(rng)))
    (folder / "input").write_bytes(data)
    source = Source(kind="webdataset" if kind == "shards" else "archive", locator="input", label=label)
    module = kind_of(CARD.model_copy(update={"source": source}), "pebbles")
    target = folder / "target"
    came: list[RawRecord] = []

    summary = write_raw(_noted(module.records(source, Place(folder, target)), came), target, {"locator": "input"})
    assert summary.records == len(came), "another number of records was written than came"
    if rng.random() < 0.05:
        again = list(module.records(source, Place(folder, target)))
        assert again == came, "read twice, it is not the same"
    if rng.random() < 0.2:
        _looked(module, source, folder, came)
    return _curated(came, target, kind)


def _looked(module: Kind, source: Source, folder: Path, came: list[RawRecord]) -> None:
    """What a look says must be what is read, and what it fills in must read the same."""
    found = module.look(source, Place(folder, folder / "target"))
    assert found.records in (None, len(came)), "a look counts other records"
    assert found.classes in (None, dict(Counter(record.label for record in came))), "a look counts other classes"
    assert all(line.isprintable() for line in found.said), f"control characters in {found.said!r}"
    assert list(module.records(found.source, Place(folder, folder / "target"))) == came, "what a look fills in reads otherwise"


def _folders(rng: Random) -> Iterator[tuple[str, bytes]]:
    for number in range(rng.randrange(6, 14)):
        suffix, data = broken(rng) if rng.random() < 0.7 else whole(rng)
        yield f"class{number % 3}/{number}.{suffix}", data


def _noted(records: Iterator[RawRecord], came: list[RawRecord]) -> Generator[RawRecord, None, dict[str, object]]:
    while True:
        try:
            record = next(records)
        except StopIteration as end:
            return dict(end.value)
        came.append(record)
        yield record


def _curated(came: list[RawRecord], target: Path, kind: str) -> str:
    assert {path.name for path in target.iterdir()} == WRITTEN, "other files than those of raw records"
    batches = list(read_raw(target))
    assert [row[:3] for batch in batches for row in batch.iter_rows()] == [tuple(record[:3]) for record in came]
    examined = pl.concat([examine(batch, SETTINGS) for batch in batches])
    seen = examined.filter(pl.col("thumb").is_not_null())
    thumbs = ThumbRows.of(seen["key"], seen["thumb"])
    ledger, _, _ = decide(examined.drop("thumb"), thumbs, _features(seen), SETTINGS, "pebbles")
    assert ledger["source_id"].to_list() == [record.source_id for record in came], "a record was lost"
    assert faults(ledger) == [], faults(ledger)
    if kind == "pictures":
        shards = target / "shards"
        shards.mkdir()
        write_domain(target, shards, ledger, SETTINGS, one_by_one)
        kept = ledger.filter(pl.col("verdict") == "kept").height
        assert pl.read_parquet(shards / "index.parquet").height == kept, "another number of pictures in the shards"
    return f"read: {ledger['verdict'].value_counts(sort=True).rows()}"


def _features(seen: pl.DataFrame) -> Features:
    """Features of readable records: some numbers of their thumbnails."""
    return Features(seen["key"], rows_of(seen["thumb"])[:, ::64].astype(np.float32))


def _outside(folder: Path) -> str | None:
    """What was written where nothing may be."""
    allowed = {"target", "sentinel.txt", "input", "pebbles.yaml"}
    strange = [path.name for path in folder.iterdir() if path.name not in allowed]
    strange += [path.name for path in folder.parent.iterdir() if path != folder and path.name != "run"]
    if (folder / "sentinel.txt").read_text() != "stays":
        strange.append("sentinel.txt")
    return f"written outside: {strange}" if strange else None


def main(folder: Path, first: int, last: int) -> None:
    """Run cases and print `begin SEED`, then `end SEED KIND`, or `fault SEED KIND` and what is wrong."""
    (folder / "run").mkdir(parents=True, exist_ok=True)
    os.chdir(folder / "run")
    resource.setrlimit(resource.RLIMIT_AS, (SPACE, SPACE))  # what takes all memory is to be a fault here, and no more
    for seed in range(first, last + 1):
        print("begin", seed, flush=True)
        outcome = run_case(seed, folder / "case")
        word = "end" if outcome.fault is None else "fault"
        print(word, seed, outcome.kind, ascii((outcome.fault or outcome.said)[:400]), flush=True)
        if outcome.fault and "FUZZ_KEEP" in os.environ:
            shutil.copytree(folder / "case", Path(os.environ["FUZZ_KEEP"]) / str(seed), dirs_exist_ok=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), int(sys.argv[-1]))
