"""Leaks, looked for once more in what was published: pictures come from the shards, and nothing that curation noted is used.

Two copies of one picture may not lie in two splits, nor in two units, for episodes keep units apart and nothing else: a copy of
a support could be a query. And no picture that a learner may be trained on may occur in a held-out domain.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
import xxhash

from pipelines.cards import load_card
from pipelines.copies import pairs_within, thumb
from pipelines.copies.store import scratch_thumbs
from pipelines.curation import Curation, Duplicates
from pipelines.evidence import exact_pairs, near_rows, same_shape
from pipelines.files import read_json
from pipelines.images import decode
from pipelines.layout import Layout
from pipelines.overlap import Prints, exclusions, find_overlap
from pipelines.params import Params
from pipelines.shards import read_images

BATCH = 256  # pictures decoded at once
SLACK = 0.015  # of agreement: pictures in shards are scaled and coded again, so a pair at the threshold may fall on either side
NAMED = 5  # leaks named one by one
Finding = tuple[str, list[str]]


def leaks(params: Params, layout: Layout) -> Iterator[Finding]:
    """Yield (subject, leaks in words) for every listed domain, then for what lies between them.

    Domains that are not curated are passed over: `check` says so.
    """
    layout.state.mkdir(parents=True, exist_ok=True)
    names = [name for name in params.domains if (layout.domain(name) / "index.parquet").exists()]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="leaks-", dir=layout.state)))
        prints: dict[str, Prints] = {}
        for name in names:
            try:
                settings = params.curation.with_changes(load_card(layout.card(name)).curation)
                seen = shard_prints(layout.domain(name), settings, folder / name, stack)
                index = pl.read_parquet(layout.domain(name) / "index.parquet")
                found = within(index, seen, settings.duplicates if settings.near_duplicates else None)
                prints[name] = seen
            except (ValueError, OSError, pl.exceptions.PolarsError) as error:  # damage, of which `check` says more
                found = [" ".join(str(error).split()) or type(error).__name__]
            yield f"copies in {name}", found
        yield "copies between domains", between(prints, params, layout)


def shard_prints(folder: Path, settings: Curation, scratch: Path, stack: ExitStack) -> Prints:
    """What the pictures of a domain's shards are compared by, sorted by key; thumbnails lie in the file `scratch`.

    Raises ValueError if one cannot be decoded.
    """
    index = pl.read_parquet(folder / "index.parquet")
    writer = stack.enter_context(scratch_thumbs(scratch))
    images = iter(zip(index["key"], read_images(folder, index), strict=True))
    rows: list[tuple[str, str, str, float, float]] = []

    def look(item: tuple[str, bytes]) -> tuple[tuple[str, str, str, float, float], bytes]:
        key, data = item
        try:
            image = decode(data, settings.max_pixels).image
        except ValueError as error:
            raise ValueError(f"{folder}: {key}: {error}") from None
        width, height = image.size
        pixels = xxhash.xxh3_128_hexdigest(b"%dx%d:" % image.size + image.tobytes())
        return (key, hashlib.sha256(data).hexdigest(), pixels, (width * height) ** 0.5, width / height), thumb(image)

    with ThreadPoolExecutor() as pool:
        while batch := list(islice(images, BATCH)):
            seen = list(pool.map(look, batch))
            rows += [row for row, _ in seen]
            writer.add(pl.Series("key", [key for key, _ in batch], dtype=pl.String), [small for _, small in seen])
    schema = {"key": pl.String, "sha256": pl.String, "pixel_hash": pl.String, "side": pl.Float32, "shape": pl.Float64}
    described = pl.DataFrame(rows, schema=schema, orient="row").sort("key")
    return Prints(described, writer.read().pick(described["key"]))


def within(index: pl.DataFrame, prints: Prints, settings: Duplicates | None) -> list[str]:
    """Copies that two splits or two units of a domain share; `settings` as curation had them, None for exact copies alone."""
    places = index.select("key", "label", "split", "unit").join(prints.rows.select("key", "shape"), on="key")
    found = exact_pairs(prints.rows)
    if settings is not None:
        keys = prints.rows["key"]
        near = near_rows(pairs_within(prints.seen(), settings.turns), keys, keys, _surely(settings).agreement)
        found = pl.concat([found, near.filter("copies")])
    both = found.join(places, left_on="key_a", right_on="key").join(places, left_on="key_b", right_on="key", suffix="_b")
    counts = (pl.col("transform") == "none") | (pl.col("label") == pl.col("label_b"))
    apart = (pl.col("split") != pl.col("split_b")) | (pl.col("unit") != pl.col("unit_b"))
    leaking = both.filter(counts & apart & same_shape("shape", "shape_b")).unique(
        ["key_a", "key_b"], keep="first", maintain_order=True
    )
    return _told(
        f"{row['key_a']} ({row['split']}) and {row['key_b']} ({row['split_b']}) are copies ({_how(row)}): "
        + ("a split parts them" if row["split"] != row["split_b"] else "they may meet as support and query")
        for row in leaking.sort("key_a", "key_b").iter_rows(named=True)
    )


def between(prints: dict[str, Prints], params: Params, layout: Layout) -> list[str]:
    """Pictures of train and spare domains that occur in held-out ones and that the manifest does not keep out of training."""
    if not layout.manifest.exists():
        return []
    overlap = find_overlap(prints, _surely(params.curation.duplicates))
    wanted = exclusions(overlap, dict(params.domains))
    excluded = {(row["domain"], row["key"]) for row in read_json(layout.manifest)["exclusions"]}
    return _told(
        f"{row['domain']}: {row['key']} occurs in the held-out domain {row['because_domain']} as {row['because_key']}, "
        "and is not kept out of training"
        for row in wanted.iter_rows(named=True)
        if (row["domain"], row["key"]) not in excluded
    )


def _surely(settings: Duplicates) -> Duplicates:
    return settings.model_copy(update={"agreement": min(1.0, settings.agreement + SLACK)})


def _how(row: dict[str, object]) -> str:
    if row["step"] != "near":
        return f"same {row['step']}"
    turn = "" if row["transform"] == "none" else f"{row['transform']}, "
    return f"{turn}agreement {row['agreement']:.2f}"


def _told(lines: Iterator[str]) -> list[str]:
    """The first few, and how many more there are."""
    found = list(lines)
    more = len(found) - NAMED
    return found[:NAMED] + ([f"and {more} more"] if more > 0 else [])
