"""The pictures of the report: contact sheets, copies beside what they copy, doubted labels, pairs between domains."""

from typing import Any

import polars as pl
from PIL import Image

from pipelines.pictures import contact_image, copy_groups, data_uri, raw_thumbnails, sheet_rows
from training.report.inputs import Domain, Inputs

SIDE = 96  # px of a picture in a group of copies
MOST_GROUPS = 4  # of each verdict and domain
MOST_UNREADABLE = 40
MOST_SUSPECTS = 4  # of a domain
MOST_NEIGHBOURS = 3  # beside a suspect
MOST_PAIRS = 12  # between domains, of those that exclude and of those that do not
CLASSES = SAMPLES = 8  # of a contact sheet
TRANSFORMS = {"none": "", "mirrored": "mirrored"}
STEPS = {"bytes": "same bytes", "pixels": "same pixels", "near": "near copy"}


def contact_sheets(inputs: Inputs) -> list[dict[str, Any]]:
    """For each domain its picture, the classes on it, and its place in the collection."""
    sheets = []
    for name, domain in inputs.domains.items():
        folder = inputs.layout.domain(name)
        shown = sheet_rows(pl.read_parquet(folder / "index.parquet"), CLASSES, SAMPLES)
        image = contact_image(folder, CLASSES, SAMPLES, gap=0)
        labels = shown.unique("row", maintain_order=True)["label"].to_list()
        sheets.append(
            {
                "name": name,
                "entry": domain.entry,
                "role": domain.role.replace("_", "-"),
                "uri": data_uri(image, quality=82),
                "width": image.width,
                "height": image.height,
                "labels": labels,
            }
        )
    return sheets


def copies(inputs: Inputs, verdict: str) -> list[dict[str, Any]]:
    """Groups of records with `verdict` (duplicate or label_conflict) in each domain, with pictures and the reason in words."""
    shown = []
    for name, domain in inputs.domains.items():
        groups = copy_groups(domain.ledger, domain.evidence, verdict, MOST_GROUPS)
        if not groups:
            continue
        wanted = [source_id for group in groups for source_id in group["source_id"]]
        pictures = raw_thumbnails(inputs.layout.raw(name), wanted, SIDE)
        count = domain.ledger.filter(pl.col("verdict") == verdict).height
        shown.append({"name": name, "count": count, "groups": [_group(group, pictures, verdict) for group in groups]})
    return shown


def _group(group: pl.DataFrame, pictures: dict[str, Image.Image | None], verdict: str) -> dict[str, Any]:
    rows = list(group.iter_rows(named=True))
    aside = next(row for row in rows if row["verdict"] == verdict)
    return {
        "evidence": _evidence(aside),
        "reason": aside["reason"],
        "more": rows[0]["cluster_size"] - len(rows),
        "members": [
            {
                "uri": picture_uri(pictures.get(row["source_id"])),
                "label": row["label"],
                "source_id": row["source_id"],
                "verdict": row["verdict"].replace("_", " "),
                "kept": row["verdict"] == "kept",
            }
            for row in rows
        ],
    }


def _evidence(row: dict[str, Any]) -> str:
    """How two pictures are known to be one, in words."""
    parts = [STEPS.get(row["step"], row["step"] or "")]
    if row["transform"]:
        parts.append(TRANSFORMS.get(row["transform"], row["transform"]))
    if row["step"] == "near":
        parts += [f"proposed by {row['proposed_by']}"] if row["proposed_by"] else []
        parts += [f"{row['distance']} bit{'' if row['distance'] == 1 else 's'} apart"] if row["distance"] is not None else []
        parts += [f"{100 * row['agreement']:.0f} % agree"] if row["agreement"] is not None else []
    return ", ".join(part for part in parts if part)


def picture_uri(image: Image.Image | None) -> str | None:
    """The picture as a data URI; None where it cannot be shown."""
    return data_uri(image, quality=82) if image else None


def unreadable(inputs: Inputs) -> dict[str, Any]:
    """Records that could not be read and why; the first of them, and how many more there are."""
    rows = [
        {"domain": name, "source_id": source_id, "reason": reason}
        for name, domain in inputs.domains.items()
        for source_id, reason in _of_verdict(domain, "unreadable").iter_rows()
    ]
    return {"rows": rows[:MOST_UNREADABLE], "more": max(0, len(rows) - MOST_UNREADABLE)}


def _of_verdict(domain: Domain, verdict: str) -> pl.DataFrame:
    return domain.ledger.filter(pl.col("verdict") == verdict).select("source_id", "reason").sort("source_id")


def suspects(inputs: Inputs) -> list[dict[str, Any]]:
    """In each domain the labels most in doubt: the picture, what its neighbours say, and the nearest that say so."""
    shown = []
    for name, domain in inputs.domains.items():
        rows = list(domain.suspects.head(MOST_SUSPECTS).iter_rows(named=True))
        wanted = [(name, key) for row in rows for key in (row["key"], *row["neighbours"])]
        sides = records(inputs, wanted) if rows else {}
        groups = [_suspect(row, [sides[name, key] for key in (row["key"], *row["neighbours"])]) for row in rows]
        if groups:
            shown.append({"name": name, "count": domain.suspects.height, "groups": groups})
    return shown


def _suspect(row: dict[str, Any], sides: list[dict[str, Any]]) -> dict[str, Any]:
    """The suspect, then neighbours of the suggested label before others."""
    suspect, *around = sides
    agreeing = sorted(around, key=lambda side: side["label"] != row["suggested"])
    return {
        "label": row["label"],
        "suggested": row["suggested"],
        "share": row["share"],
        "members": [suspect, *agreeing[:MOST_NEIGHBOURS]],
    }


def between(inputs: Inputs) -> dict[str, dict[str, Any]]:
    """Pictures that occur in two domains, as `excluded` (one side is kept out of training, it stands first) and `shared`.

    Each with its number of pairs, the pairs that are shown (every two domains have their turn) and how many are not.
    """
    roles = {name: domain.role for name, domain in inputs.domains.items()}
    known = inputs.overlap.filter(pl.all_horizontal(pl.col("domain_a", "domain_b").is_in(list(roles))))
    held_a, held_b = (pl.col(f"domain_{side}").replace_strict(roles) == "held_out" for side in "ab")
    return {
        "excluded": _pairs(inputs, known.filter(held_a != held_b).with_columns(turned=held_a)),
        "shared": _pairs(inputs, known.filter(held_a == held_b).with_columns(turned=pl.lit(False))),
    }


def _pairs(inputs: Inputs, rows: pl.DataFrame) -> dict[str, Any]:
    turn = pl.int_range(pl.len()).over("domain_a", "domain_b")
    shown = rows.sort(turn, "domain_a", "domain_b", "key_a", "key_b").head(MOST_PAIRS)
    found = records(
        inputs, [(row[f"domain_{side}"], row[f"key_{side}"]) for row in shown.iter_rows(named=True) for side in "ab"]
    )
    pairs = []
    for row in shown.iter_rows(named=True):
        sides = [found[row[f"domain_{side}"], row[f"key_{side}"]] for side in ("ba" if row["turned"] else "ab")]
        pairs.append({"sides": sides, "evidence": _evidence(row)})
    return {"count": rows.height, "pairs": pairs, "more": rows.height - len(pairs)}


def records(inputs: Inputs, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What to show of (domain, key): picture, label, name at the source, and the domain with its role."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in sorted({domain for domain, _ in wanted}):
        keys = [key for domain, key in wanted if domain == name]
        rows = inputs.domains[name].ledger.filter(pl.col("key").is_in(keys)).select("key", "source_id", "label")
        if rows.height < len(set(keys)):
            raise ValueError(f"domain {name}: the report's files name a record that its ledger lacks; run `dvc repro`")
        pictures = raw_thumbnails(inputs.layout.raw(name), rows["source_id"].to_list(), SIDE)
        role = inputs.domains[name].role.replace("_", " ")
        for key, source_id, label in rows.iter_rows():
            uri = picture_uri(pictures.get(source_id))
            found[name, key] = {"domain": name, "role": role, "uri": uri, "label": label, "source_id": source_id}
    return found
