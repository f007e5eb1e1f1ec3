"""Verify what is on disk: checksums, ledger, index, shards, features and manifest against each other."""

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from pipelines.cards import load_card
from pipelines.check_encoded import check_encoded
from pipelines.check_origins import Read, check_embeddings, check_files, check_overrides, check_raw
from pipelines.damage import look_again
from pipelines.encoders import Encoder
from pipelines.features import ABOUT, FILE, digest, map_features
from pipelines.files import read_json, sha256_file
from pipelines.layout import Layout
from pipelines.ledger import counts, faults
from pipelines.params import Params
from pipelines.shards import INDEX_SCHEMA, read_image
from pipelines.sums import SUMS, domain_digest

Finding = tuple[str, list[str]]


def check(params: Params, layout: Layout, read: Read = lambda size: None) -> Iterator[Finding]:
    """Yield (subject, problems in words) for every listed domain, then for the collection; no problem gives an empty list.

    `read(bytes)` is called after each file that is compared with its checksum. Where one differs, DVC is made to look again.
    """
    for name in params.domains:
        yield name, check_domain(name, layout, read)
    yield "collection", _in_words(lambda: _check_manifest(params, layout))


def check_domain(name: str, layout: Layout, read: Read = lambda size: None) -> list[str]:
    """Problems of one domain."""
    checks: list[Callable[[], list[str]]] = [
        lambda: check_raw(load_card(layout.card(name)), layout, read),
        lambda: check_embeddings(name, layout, read),
        lambda: _check_curated(name, layout, read),
        lambda: _check_features(name, layout, read),
        lambda: check_encoded(name, layout, read),
    ]
    return [problem for one in checks for problem in _in_words(one)]


def _in_words(one: Callable[[], list[str]]) -> list[str]:
    """The problems that a check finds; what stops it is one too."""
    try:
        return one()
    except (ValueError, OSError, KeyError, pl.exceptions.PolarsError, tarfile.TarError) as error:
        return [" ".join(str(error).split()) or type(error).__name__]


def _check_curated(name: str, layout: Layout, read: Read) -> list[str]:
    folder = layout.domain(name)
    if not (folder / "stats.json").exists() and not (folder / SUMS).exists():
        return [f"{folder}: not curated yet"]
    # where a file differs from its checksum, what follows would only repeat it
    return check_files(folder, layout, read) or (
        check_overrides(name, layout) + _check_ledger(name, folder, layout) + _check_shards(folder)
    )


def _check_ledger(name: str, folder: Path, layout: Layout) -> list[str]:
    ledger = pl.read_parquet(folder / "ledger.parquet")
    index = pl.read_parquet(folder / "index.parquet")
    stats = read_json(folder / "stats.json")
    problems = [f"{folder / 'ledger.parquet'}: {fault}" for fault in faults(ledger)]
    records = read_json(layout.raw(name) / "source.json")["records"] if layout.raw(name).exists() else None
    if records is not None and records != ledger.height:
        problems.append(f"{records} raw records came in, the ledger has {ledger.height}")
    if stats["verdicts"] != counts(ledger) or sum(stats["verdicts"].values()) != ledger.height:
        problems.append(f"{folder / 'stats.json'}: verdict counts do not add up to the ledger's {ledger.height} records")
    kept = ledger.filter(pl.col("verdict") == "kept").select("key", "label", "split").sort("key")
    if not kept.equals(index.select("key", "label", "split").sort("key")):
        problems.append(f"{folder / 'index.parquet'}: its images are not the kept records of the ledger")
    straddling = index.group_by("unit").agg(pl.col("split").n_unique()).filter(pl.col("split") > 1)
    if straddling.height:
        problems.append(
            f"{straddling.height} units of copies or groups lie in two splits, such as {straddling['unit'].sort()[0]}"
        )
    return problems


def _check_shards(folder: Path) -> list[str]:
    index = pl.read_parquet(folder / "index.parquet")
    classes = read_json(folder / "classes.json")
    if dict(index.schema) != {name: kind() for name, kind in INDEX_SCHEMA.items()}:
        return [f"{folder / 'index.parquet'}: columns differ from the index's schema"]
    problems = []
    found = sorted(path.name for path in folder.glob("*.tar"))
    if found != index["shard"].unique().sort().to_list():
        problems.append(f"{folder}: shards on disk and in the index differ")
    for shard in found:
        rows = {row["key"]: row for row in index.filter(pl.col("shard") == shard).iter_rows(named=True)}
        problems += _check_shard(folder, shard, rows, classes)
    return problems


def _check_shard(folder: Path, shard: str, rows: dict[str, dict[str, Any]], classes: list[str]) -> list[str]:
    problems, seen = [], set()
    with tarfile.open(folder / shard) as tar:
        for member in tar:
            key, suffix = member.name.split(".", 1)
            row = rows.get(key)
            if row is None:
                problems.append(f"{folder / shard}: {member.name} is not in the index")
            elif suffix in ("jpg", "png"):
                seen.add(key)
                extracted = tar.extractfile(member)
                assert extracted is not None
                if read_image(folder, shard, row["offset"], row["size"]) != extracted.read():
                    problems.append(f"{folder / shard}: the index points beside {member.name}")
            elif suffix == "cls":
                extracted = tar.extractfile(member)
                assert extracted is not None
                if int(extracted.read()) != row["class"] or classes[row["class"]] != row["label"]:
                    problems.append(f"{folder / shard}: {member.name} has another class than the index")
    problems += [f"{folder / shard}: {key} is in the index, not in the shard" for key in sorted(rows.keys() - seen)]
    return problems


def _check_features(name: str, layout: Layout, read: Read) -> list[str]:
    folder, domain = layout.features(name), layout.domain(name)
    if not (domain / SUMS).exists():
        return []
    if not (folder / ABOUT).exists():
        return [f"{folder}: no features of the curated images"]
    problems = check_files(folder, layout, read)
    if problems:
        return problems
    about = read_json(folder / ABOUT)
    features_ND = map_features(folder / FILE)
    if about["domain_digest"] != domain_digest(domain):
        problems.append(f"{folder}: made from other shards than those on disk")
    if digest(features_ND) != about["features_digest"]:
        problems.append(f"{folder / FILE}: differs from its digest")
    if features_ND.shape[0] != pl.read_parquet(domain / "index.parquet").height:
        problems.append(f"{folder / FILE}: other number of rows than the index")
    return problems


def _check_manifest(params: Params, layout: Layout) -> list[str]:
    if not layout.manifest.exists():
        return [f"{layout.manifest}: not collected yet"]
    found = list(_manifest_faults(params, layout))
    for path, _ in found:
        look_again(path, layout)
    return [f"{path}: {what}" for path, what in found]


def _manifest_faults(params: Params, layout: Layout) -> Iterator[tuple[Path, str]]:
    try:
        manifest = read_json(layout.manifest)
    except ValueError:
        yield layout.manifest, "not valid JSON"
        return
    roles = {name: domain["role"] for name, domain in manifest["domains"].items()}
    if roles != dict(params.domains):
        yield layout.manifest, f"lists other domains or roles than {layout.params}"
    for path, expected in ((layout.croissant, manifest["croissant"]), (layout.overlap, manifest["overlap"])):
        if not path.exists() or sha256_file(path) != expected:
            yield path, "missing, or differs from its checksum in the manifest"
    if _encoder_digest(layout) != manifest["encoder"]:
        yield layout.encoder, "missing, broken, or another encoder than that of the manifest"
    for name, domain in manifest["domains"].items():
        for folder, field in ((layout.domain(name), "digest"), (layout.encoded(name), "encoded_digest")):
            if not (folder / SUMS).exists() or domain_digest(folder) != domain.get(field):
                yield layout.manifest, f"{name} has another {field} than {folder}"


def _encoder_digest(layout: Layout) -> str | None:
    try:
        return Encoder.load(layout.encoder).digest
    except ValueError:
        return None
