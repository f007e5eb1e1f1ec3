"""A small finished project with known answers, to test the report: 3 train domains, 2 held out, 1 spare; dirt in `glyphs`."""

import hashlib
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from made_pictures import encoded, picture
from PIL import Image, ImageFilter, ImageOps

from pipelines.curation import Curation
from pipelines.files import write_json, write_text
from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.ledger import SCHEMA, counts, record_key
from pipelines.quality import native, scores, tails
from pipelines.shards import Sample, ShardWriter
from training.measure import SCHEMA as RESULTS
from training.measure.context import CONTEXT_SCHEMA
from training.measure.run import ASKED, SEQUENCE, SIMILARITY
from training.measure.sequence import SCHEMA as SEQUENCE_SCHEMA
from training.measure.similarity import SCHEMA as SIMILARITY_SCHEMA

ROLES = {
    "digits": "held_out",
    "flags": "held_out",
    "glyphs": "train",
    "shapes": "train",
    "textures": "train",
    "fractals": "spare",
}
CLASSES, IMAGES, EPISODES = 7, 9, 80
SCRIPT = "<script>alert(1)</script>"  # the label of a class of glyphs
LOSSES = {"glyphs": 0.04, "shapes": 0.015, "textures": -0.002}  # V(full) - V(without), the same in every domain
INTERACTION = -0.01  # V(full) - V(without one) - V(without the other) + V(without both), of glyphs and shapes
SEEDS_DRIFT = 0.001  # what a training with another seed differs by
GAINS = {"glyphs": -0.03, "shapes": 0.001, "textures": 0.01}  # V(replaced by fractals) - V(full)
ABOVE = {"learner": 0.05, "class_mean": 0.0, "ridge": 0.06, "knn": -0.03}  # accuracy above the class mean
ASKED_FOR = {"designs": ["shapley"], "margin": 0.005, "random_subsets": 32, "seed": 0, "seeds": 3, "steps": 200}
PLANTED = {"found": 8, "missed": 1, "false": 1}  # see `_dirt`
Record = dict[str, Any]  # source_id, label, data, verdict, reason, cluster_of (source_id), split


def make_project(root: Path) -> Layout:
    """Write every file that the report reads under `root`."""
    layout = Layout(root)
    made = {name: _write_domain(layout, name, _records(name)) for name in ROLES}
    keys = {name: dict(ledger.select("source_id", "key").iter_rows()) for name, ledger in made.items()}
    leak = {"domain": "glyphs", "key": keys["glyphs"]["leaked"], "because_domain": "digits"}
    exclusions = [leak | {"because_key": keys["digits"]["class-1/3"]}]
    entries = {name: _entry(layout, name, ledger) for name, ledger in made.items()}
    licences = {entry["licence"]: {"domains": sorted(entries), "images": 1} for entry in entries.values()}
    manifest = {"version": 1, "encoder": "e" * 64, "domains": entries, "licences": licences, "exclusions": exclusions}
    write_json(layout.manifest, manifest)
    overlap = {
        "domain_a": ["digits", "shapes"],
        "key_a": [keys["digits"]["class-1/3"], keys["shapes"]["class-2/1"]],
        "domain_b": ["glyphs", "textures"],
        "key_b": [keys["glyphs"]["leaked"], keys["textures"]["class-3/2"]],
        "step": ["bytes", "near"],
        "proposed_by": ["bytes", "features"],
        "distance": [0, 7],
        "agreement": [1.0, 0.94],
        "transform": ["none", "turned 90"],
    }
    pl.DataFrame(overlap).write_parquet(layout.overlap)
    layout.measurement.mkdir(parents=True)
    results().write_parquet(layout.measurement / "results.parquet")
    similarity().write_parquet(layout.measurement / SIMILARITY)
    sequence().write_parquet(layout.measurement / SEQUENCE)
    write_json(layout.measurement / ASKED, ASKED_FOR)
    context().write_parquet(layout.measurement / "context.parquet")
    write_json(layout.measurement / "examples.json", [_example(name) for name in ("digits", "flags")])
    write_text(layout.training_log, _training_log())
    write_text(layout.validation_log, _validation_log())
    for time in _stage_times():
        write_json(layout.state / "stages" / f"{time['stage']}.json", time)
    return layout


def results() -> pl.DataFrame:
    """The measurement's table: the noise of episodes and of seeds has mean zero in every subset, so known differences come
    out exactly. All subsets of the train domains, all replacements, the whole with the spare, and every domain alone."""
    rng = np.random.default_rng(5)
    rows: list[tuple[list[str] | None, int, str, int, str, np.ndarray]] = []
    for domain, level in (("digits", 0.72), ("flags", 0.58)):
        for n_shot in (1, 5):
            easy = level + 0.04 * n_shot - 0.12
            base = np.clip(rng.normal(easy, 0.09, EPISODES), 0.2, 0.8).astype(np.float32)
            rows += [(None, 0, domain, n_shot, name, base + more) for name, more in ABOVE.items()]
            for subset, gain in gains().items():
                drift = SEEDS_DRIFT * rng.choice([-1, 1])
                for seed, by in enumerate((drift, 0.0, -drift)):
                    rows.append((list(subset), seed, domain, n_shot, "learner", base + 0.02 + gain + by + _noise(rng)))
    for alone in (*LOSSES, "fractals"):
        for judged in (*LOSSES, "fractals"):
            if judged != alone:
                rows += [([alone], s, judged, n, "learner", 0.6 + _noise(rng)) for s in range(3) for n in (1, 5)]
    table = [(*place, values.tolist()) for *place, values in rows]
    return pl.DataFrame(table, schema=RESULTS, orient="row")


def gains() -> dict[tuple[str, ...], float]:
    """V(subset) - V(full). Of glyphs and shapes one does for the other in part: losing both costs more than losing each."""
    full = tuple(LOSSES)
    found = {}
    for size in range(len(full) + 1):
        for subset in combinations(full, size):
            lost = sum(loss for name, loss in LOSSES.items() if name not in subset)
            together = INTERACTION if not {"glyphs", "shapes"} & set(subset) else 0.0
            found[subset] = together - lost
    for name, gain in GAINS.items():
        found[tuple("fractals" if other == name else other for other in full)] = gain
    return found | {(*full, "fractals"): 0.004, ("fractals",): -0.05}


def similarity() -> pl.DataFrame:
    """How far domains are apart: as far as their places in ROLES."""
    rows = [(a, b, 0.1 * (j - i), 0.2 * (j - i)) for (i, a), (j, b) in combinations(enumerate(ROLES), 2)]
    return pl.DataFrame(rows, schema=SIMILARITY_SCHEMA, orient="row")


def sequence() -> pl.DataFrame:
    """Trainings in turn in two orders: a domain rises to .7 when met, and falls by .02 with each domain after it."""
    rows = []
    for order in (list(LOSSES), list(LOSSES)[::-1]):
        for seed in (0, 1):
            for turn in range(4):
                for domain in ("digits", "flags", *LOSSES):
                    since = turn - order.index(domain) - 1 if domain in LOSSES else 0
                    base = 0.5 + 0.03 * turn if domain not in LOSSES else 0.7 - 0.02 * since if since >= 0 else 0.4
                    rows.append((order, seed, turn, domain, base + 0.001 * seed))
    return pl.DataFrame(rows, schema=SEQUENCE_SCHEMA, orient="row")


def context() -> pl.DataFrame:
    """Accuracy that rises with the shots, in each held-out domain by as much as `ABOVE` says."""
    rows = [
        (domain, n_shot, learner, *(0.4 + above + 0.03 * n_shot + by for by in (0.0, -0.01, 0.01)))
        for domain in ("digits", "flags")
        for n_shot in (1, 3, 5)
        for learner, above in ABOVE.items()
    ]
    return pl.DataFrame(rows, schema=CONTEXT_SCHEMA, orient="row")


def _example(domain: str) -> dict[str, Any]:
    """An episode of two ways; one of its two queries is taken for the other class."""
    return {
        "domain": domain,
        "classes": ["class-0", "class-1"],
        "supports": [{"row": row, "way": way} for way, row in ((0, 0), (0, 1), (1, 9), (1, 10))],
        "queries": [{"row": 2, "way": 0, "shares": [0.8, 0.2]}, {"row": 11, "way": 1, "shares": [0.6, 0.4]}],
    }


def _noise(rng: np.random.Generator) -> np.ndarray:
    drawn = rng.normal(0, 0.025, EPISODES)
    return drawn - drawn.mean()


def _records(domain: str) -> list[Record]:
    records = []
    for number in range(CLASSES):
        label = SCRIPT if domain == "glyphs" and number == CLASSES - 1 else f"class-{number}"
        for sample in range(IMAGES + 2 * (number % 3)):
            over = sample >= IMAGES
            records.append(
                {
                    "source_id": f"class-{number}/{sample}",
                    "label": label,
                    "data": encoded(picture(domain, number, sample)),
                    "verdict": "over_cap" if over else "kept",
                    "reason": f"class has more than {IMAGES} usable images" if over else "passed every step",
                    "split": "train" if number < CLASSES - 2 else "test",
                }
            )
    return records + list({"glyphs": _dirt, "shapes": _poor}.get(domain, lambda: ())())


def _poor() -> Iterator[Record]:
    """Pictures that are hard to see: a blurred and a dark one were kept, a flat one was set aside."""
    yield {
        "source_id": "blurred",
        "label": "class-1",
        "data": encoded(picture("shapes", 1, 70).filter(ImageFilter.GaussianBlur(9))),
    }
    yield {"source_id": "dark", "label": "class-2", "data": encoded(picture("shapes", 2, 70).point(lambda level: level // 9))}
    flat = encoded(Image.new("RGB", (64, 64), (90, 90, 90)))
    reason = "near constant: 1.0, from 0.99 on set aside"
    yield {"source_id": "flat", "label": "class-3", "data": flat, "verdict": "low_quality", "reason": reason}


def _dirt() -> Iterator[Record]:
    """What was planted in glyphs; the resized copy is missed, and one copy is set aside that nobody planted."""
    one, two, three = (picture("glyphs", 2, sample) for sample in range(3))
    yield _copy("copied", encoded(one), "class-2/0", "same bytes as the keeper")
    yield _copy("mirrored", encoded(ImageOps.mirror(two)), "class-2/1", "mirrored copy of the keeper: 97 % agree")
    yield {"source_id": "resized", "label": "class-2", "data": encoded(three.resize((40, 40)))}
    yield _copy("other-label", encoded(picture("glyphs", 0, 1)), "class-0/1", "also under class-0", "label_conflict", "class-1")
    yield {
        "source_id": "broken",
        "label": "class-1",
        "data": b"\x89PNG broken",
        "verdict": "unreadable",
        "reason": "truncated file",
    }
    yield {"source_id": "grey", "label": "class-3", "data": encoded(picture("glyphs", 3, 60).convert("L"))}
    for sample in range(2):
        data = encoded(picture("glyphs", 12, sample))
        yield {
            "source_id": f"rare/{sample}",
            "label": "rare",
            "data": data,
            "verdict": "rare_class",
            "reason": "2 usable images",
        }
    yield {"source_id": "leaked", "label": "class-4", "data": encoded(picture("digits", 1, 3))}
    yield _copy("look-alike", encoded(picture("glyphs", 4, 0)), "class-4/0", "near copy <b>of</b> the keeper")


def _copy(name: str, data: bytes, of: str, reason: str, verdict: str = "duplicate", label: str | None = None) -> Record:
    shown = label or of.partition("/")[0]
    return {"source_id": name, "label": shown, "data": data, "verdict": verdict, "reason": reason, "cluster_of": of}


def _planted(domain: str) -> pl.DataFrame:
    rows = [
        ("copied", "exact_copy", "class-2/0", None),
        ("mirrored", "near_mirrored", "class-2/1", None),
        ("resized", "near_resized", "class-2/2", None),
        ("other-label", "conflict_copy", "class-0/1", None),
        ("broken", "unreadable", None, None),
        ("grey", "odd_mode", None, None),
        ("rare/0", "rare_class", None, None),
        ("rare/1", "rare_class", None, None),
        ("leaked", "leak", "class-1/3", "digits"),
    ]
    schema = dict.fromkeys(("source_id", "kind", "of", "domain"), pl.String)
    return pl.DataFrame(rows if domain == "glyphs" else [], schema=schema, orient="row")


def ledger_of(records: list[Record]) -> pl.DataFrame:
    """A finished ledger; what a record does not say is `kept`, in train."""
    keys = {r["source_id"]: record_key(hashlib.sha256(r["data"]).hexdigest(), r["source_id"]) for r in records}
    heads = {r["cluster_of"]: r for r in records if "cluster_of" in r}
    rows = []
    for record in records:
        name, of = record["source_id"], record.get("cluster_of")
        verdict, reason = record.get("verdict", "kept"), record.get("reason", "passed every step")
        if name in heads and heads[name]["verdict"] == "label_conflict":
            verdict, reason = "label_conflict", f"also under {heads[name]['label']}"
        kept = verdict == "kept"
        row = (
            dict.fromkeys(SCHEMA)
            | {
                "key": keys[name],
                "source_id": name,
                "label": record["label"],
                "bytes": len(record["data"]),
                "sha256": hashlib.sha256(record["data"]).hexdigest(),
                "verdict": verdict,
                "reason": reason,
                "cluster": keys[of] if of else keys[name] if name in heads else None,
                "kept_key": keys[name] if kept else keys.get(of) if verdict == "duplicate" else None,
                "split": record.get("split", "train") if kept else None,
            }
            | _scores(record["data"])
        )
        rows.append(row)
    return pl.DataFrame(rows, schema=SCHEMA)


def _scores(data: bytes) -> dict[str, float]:
    """The quality columns of a record; none where it is unreadable."""
    try:
        image = decode(data, 10**6).image
    except Unreadable:
        return {}
    sides = (np.array([side], np.int32) for side in image.size)
    found = scores(np.asarray(image.resize((64, 64)))[None], *sides, native([image.convert("L")]))
    return {f"quality_{name}": float(values[0]) for name, values in found.items()}


def _suspects(name: str, ledger: pl.DataFrame) -> pl.DataFrame:
    """One label in doubt, in glyphs."""
    schema = dict.fromkeys(("key", "label", "suggested"), pl.String) | {"share": pl.Float32, "neighbours": pl.List(pl.String)}
    keys = dict(ledger.select("source_id", "key").iter_rows())
    row = ("class-1/1", "class-1", "class-3", 0.7, ["class-0/4", "class-3/1", "class-3/2", "class-3/3"])
    doubted = [(keys[row[0]], *row[1:4], [keys[other] for other in row[4]])] if name == "glyphs" else []
    return pl.DataFrame(doubted, schema=schema, orient="row")


def _write_domain(layout: Layout, name: str, records: list[Record]) -> pl.DataFrame:
    raw, folder, ledger = layout.raw(name), layout.domain(name), ledger_of(records)
    raw.mkdir(parents=True)
    folder.mkdir(parents=True)
    pl.DataFrame([{k: r[k] for k in ("source_id", "label", "data")} for r in records]).write_parquet(
        raw / "records-00000.parquet"
    )
    _planted(name).write_parquet(raw / "planted.parquet")
    write_json(raw / "source.json", {"kind": "generated", "locator": name, "checksum": ""})
    ledger.write_parquet(folder / "ledger.parquet")
    _evidence(ledger).write_parquet(folder / "duplicates.parquet")
    _suspects(name, ledger).write_parquet(folder / "suspects.parquet")
    kept = ledger.filter(pl.col("verdict") == "kept")
    labels, data = kept["label"].unique().sort().to_list(), {r["source_id"]: r["data"] for r in records}
    with ShardWriter(folder, 1000) as writer:
        for key, source_id, label, split, cluster in kept.select("key", "source_id", "label", "split", "cluster").iter_rows():
            number = labels.index(label)
            writer.write([Sample(key, label, number, split, cluster or key, source_id, "png", data[source_id])])
    writer.index().write_parquet(folder / "index.parquet")
    write_json(folder / "classes.json", labels)
    before, after = (dict(frame.group_by("label").len().iter_rows()) for frame in (ledger, kept))
    stats = {
        "records": ledger.height,
        "kept": kept.height,
        "classes": len(labels),
        "verdicts": counts(ledger),
        "raw_bytes": int(ledger["bytes"].sum()),
        "shard_bytes": 123_456,
        "split_by": "class",
        "splits": {"train": {"images": kept.height, "classes": len(labels)}},
        "quality": tails(ledger).to_dicts(),
        "class_counts": {label: {"before": before[label], "after": after.get(label, 0)} for label in before},
    }
    write_json(folder / "stats.json", stats)
    settings = Curation(min_per_class=3, cap_per_class=IMAGES)
    write_json(folder / "provenance.json", {"curation": settings.model_dump(mode="json"), "versions": {"pillow": "13.0.0"}})
    return ledger


def _evidence(ledger: pl.DataFrame) -> pl.DataFrame:
    copies = ledger.filter(pl.col("cluster").is_not_null() & (pl.col("cluster") != pl.col("key")))
    near = ~pl.col("reason").str.contains("bytes")
    return copies.select(
        key_a="cluster",
        key_b="key",
        step=pl.when(near).then(pl.lit("near")).otherwise(pl.lit("bytes")),
        distance=pl.when(near).then(3).otherwise(0).cast(pl.Int32),
        agreement=pl.when(near).then(0.97).otherwise(1.0).cast(pl.Float32),
        proposed_by=pl.when(near).then(pl.lit("hashes")).otherwise(pl.lit("bytes")),
        copies=pl.lit(True),
        transform=pl.when(pl.col("reason").str.contains("mirrored")).then(pl.lit("mirrored")).otherwise(pl.lit("none")),
    )


def _entry(layout: Layout, name: str, ledger: pl.DataFrame) -> dict[str, Any]:
    kept = ledger.filter(pl.col("verdict") == "kept")
    return {
        "role": ROLES[name],
        "title": f"Made {name}",
        "subject": "made pictures",
        "licence": "CC0-1.0",
        "digest": hashlib.sha256(name.encode()).hexdigest(),
        "features_digest": hashlib.sha256(name[::-1].encode()).hexdigest(),
        "images": kept.height,
        "classes": kept["label"].n_unique(),
        "split_by": "class",
        "splits": {"train": {"images": kept.height, "classes": kept["label"].n_unique()}},
        "verdicts": counts(ledger),
        "raw_bytes": int(ledger["bytes"].sum()),
        "shard_bytes": 123_456,
    }


def _training_log() -> str:
    lines = ["step,loss,accuracy,validation_accuracy,learning_rate,seconds"]
    for step in range(0, 601, 10):
        loss, accuracy = 0.6 + 1.0 * np.exp(-step / 150), 0.75 - 0.5 * np.exp(-step / 180)
        checked = f"{accuracy - 0.03:.4f}" if step % 100 == 0 else ""
        lines.append(f"{step},{loss:.4f},{accuracy:.4f},{checked},0.0003,{step / 10:.1f}")
    return "\n".join(lines) + "\n"


def _validation_log() -> str:
    """`glyphs` is best in the middle, `shapes` at the end; `textures` was too small."""
    lines = ["step,domain,role,accuracy"]
    for step, glyphs, shapes, fractals in ((100, 0.41, 0.3, 0.25), (300, 0.62, 0.45, 0.35), (600, 0.58, 0.5, 0.3)):
        lines += [f"{step},glyphs,train,{glyphs}", f"{step},shapes,train,{shapes}", f"{step},fractals,spare,{fractals}"]
    return "\n".join(lines) + "\n"


def _stage_times() -> Iterator[dict[str, Any]]:
    """A first run of everything, then a second that swapped fractals in."""
    for place, name in enumerate([*ROLES, "gone"]):  # `gone` was taken out: no trace of it may be left
        for stage, took in (("download", 2.0), ("curate", 6.5), ("embed", 4.0), ("encode", 1.0)):
            run = "2" if name == "fractals" else "1"
            yield _time(f"{stage}@{name}", took + place, run)
    for stage, took in (("collect", 1.5), ("train", 95.0), ("measure", 80.0)):
        yield _time(stage, took, "2")
    yield _time("encoder", 9.0, "1")
    yield _time("report", 3.0, "1")


def _time(stage: str, seconds: float, run: str) -> dict[str, Any]:
    return {"stage": stage, "seconds": seconds, "bytes": 1_500_000, "run": run, "ended": f"2026-01-0{run}T10:00:00+00:00"}
