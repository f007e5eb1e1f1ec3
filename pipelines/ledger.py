"""The ledger: one row a raw record, exactly one verdict a row, nothing lost.

Steps add columns and give verdicts; a verdict once given stays. The columns, in order:

key            content-made name, `[a-z0-9_-]`, unique in the domain
source_id      the record's name at its source
label          the class it counts under
source_label   the class the source gives it; another one only where it was relabelled by hand
group          what it may not be parted from (frames of one video, photographs of one thing); null where the card has no rule
bytes          length of the encoded file
sha256         of the encoded file
pixel_hash     of the upright RGB pixels and their size; null if unreadable. A JPEG at least twice as long as the pictures of
               the shards is read at a half, a quarter or an eighth of its size, no smaller than these
phash          64-bit perceptual hash as 16 hex digits; null if unreadable
width, height  px as stored, before any turn by EXIF
mode, format   as Pillow names them
exif_orientation  1 to 8; 1 where the file names none
transparent    whether any pixel is not opaque
quality_*      scores of the upright picture from 0 (good) to 1 (bad); pipelines/quality.py says what each is
override       keep, drop or relabel where a hand decided; else null
verdict, reason   what became of the record and why, in words
cluster        key of the keeper of its group of copies; null where it has no copy
kept_key       the record that stands for this one; its own key where kept; null where nothing does
split          train, validation or test where kept, else null
"""

import hashlib

import polars as pl

VERDICTS = (
    "kept",
    "duplicate",
    "label_conflict",
    "unreadable",
    "too_small",
    "low_quality",
    "rare_class",
    "over_cap",
    "dropped_by_hand",
)
SPLITS = ("train", "validation", "test")
OVERRIDES = ("keep", "drop", "relabel")

SCHEMA: dict[str, type[pl.DataType]] = {
    "key": pl.String,
    "source_id": pl.String,
    "label": pl.String,
    "source_label": pl.String,
    "group": pl.String,
    "bytes": pl.Int64,
    "sha256": pl.String,
    "pixel_hash": pl.String,
    "phash": pl.String,
    "width": pl.Int32,
    "height": pl.Int32,
    "mode": pl.String,
    "format": pl.String,
    "exif_orientation": pl.Int8,
    "transparent": pl.Boolean,
    "quality_dark": pl.Float32,
    "quality_bright": pl.Float32,
    "quality_blurry": pl.Float32,
    "quality_low_information": pl.Float32,
    "quality_odd_aspect": pl.Float32,
    "quality_tiny": pl.Float32,
    "quality_near_constant": pl.Float32,
    "override": pl.String,
    "verdict": pl.String,
    "reason": pl.String,
    "cluster": pl.String,
    "kept_key": pl.String,
    "split": pl.String,
}


def record_key(sha256: str, source_id: str) -> str:
    """Name of a record: 16 digits of its content, 8 of its name at the source (equal files have different names)."""
    return f"{sha256[:16]}-{hashlib.sha256(source_id.encode()).hexdigest()[:8]}"


def give(ledger: pl.DataFrame, given: pl.DataFrame) -> pl.DataFrame:
    """Give verdicts to records that have none yet.

    `given` has `key`, `verdict`, `reason` and may have `cluster` and `kept_key`. Rows that already have a verdict keep it.
    Row order is kept.
    """
    assert set(given["verdict"].unique()) <= set(VERDICTS), "unknown verdict"
    assert given["key"].is_unique().all(), "two verdicts for one record"
    columns = [name for name in ("verdict", "reason", "cluster", "kept_key") if name in given.columns]
    joined = ledger.join(given.select("key", *columns), on="key", how="left", suffix="_given", maintain_order="left")
    open_row = pl.col("verdict").is_null()
    updates = [
        pl.when(open_row).then(pl.coalesce(f"{name}_given", name)).otherwise(pl.col(name)).alias(name) for name in columns
    ]
    return joined.with_columns(updates).select(ledger.columns)


def undecided(ledger: pl.DataFrame) -> pl.DataFrame:
    """The records that no step has set aside."""
    return ledger.filter(pl.col("verdict").is_null())


def keep_the_rest(ledger: pl.DataFrame) -> pl.DataFrame:
    """Give `kept` to every record without a verdict."""
    rest = undecided(ledger)
    given = rest.select("key", verdict=pl.lit("kept"), reason=pl.lit("passed every step"), kept_key="key")
    return give(ledger, given)


def counts(ledger: pl.DataFrame) -> dict[str, int]:
    """Number of records of each verdict, in the order of VERDICTS, zeros included."""
    found = dict(ledger.group_by("verdict").len().iter_rows())
    return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}


def faults(ledger: pl.DataFrame) -> list[str]:
    """What is wrong with a finished ledger, in words; empty if nothing is."""
    found = []
    if dict(ledger.schema) != {name: kind() for name, kind in SCHEMA.items()}:
        return [f"columns differ from the ledger's schema: {ledger.columns}"]
    if not ledger["key"].is_unique().all():
        found.append("keys are not unique")
    if ledger.filter(~pl.col("verdict").is_in(VERDICTS) | pl.col("verdict").is_null()).height:
        found.append("records without exactly one known verdict")
    if ledger.filter(pl.col("reason").is_null()).height:
        found.append("verdicts without a reason")
    kept = pl.col("verdict") == "kept"
    if ledger.filter(kept != pl.col("split").is_not_null()).height:
        found.append("a split on a record that is not kept, or none on one that is")
    if ledger.filter(pl.col("split").is_not_null() & ~pl.col("split").is_in(SPLITS)).height:
        found.append("unknown split")
    keepers = ledger.filter(kept)["key"].implode()
    if ledger.filter((pl.col("verdict") == "duplicate") & ~pl.col("kept_key").is_in(keepers)).height:
        stands = ledger.filter(pl.col("verdict") == "duplicate")["kept_key"].is_in(ledger["key"].implode())
        if not stands.all():
            found.append("a duplicate whose keeper is not in the ledger")
    return found + _faults_by_hand(ledger)


def _faults_by_hand(ledger: pl.DataFrame) -> list[str]:
    """Where a finished ledger is not as its column `override` says."""
    hand, verdict = pl.col("override").fill_null(""), pl.col("verdict")
    wrong = {
        "an override that is not keep, drop or relabel": ~hand.is_in(("", *OVERRIDES)),
        "a record kept by hand with another verdict": (hand == "keep") & (verdict != "kept"),
        "dropped by hand without an override, or not in spite of one": (hand == "drop") != (verdict == "dropped_by_hand"),
        "another label than the source's without a hand, or its own in spite of one": (
            (hand == "relabel") != (pl.col("label") != pl.col("source_label"))
        ),
        "a decision by hand that its reason does not tell": (hand != "") & ~pl.col("reason").str.contains("by hand: "),
    }
    return [words for words, condition in wrong.items() if ledger.filter(condition).height]
