"""The pictures of the report: contact sheets, copies beside what they copy, unreadable records, pairs between domains."""

from typing import Any

import polars as pl
from PIL import Image

from pipelines.pictures import contact_image, copy_groups, data_uri, raw_thumbnails, sheet_rows
from training.report.inputs import Domain, Inputs

SIDE = 96  # px of a picture in a group of copies
MOST_GROUPS = 4  # of each verdict and domain
MOST_UNREADABLE = 40
MOST_PAIRS = 12
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
                "uri": _uri(pictures.get(row["source_id"])),
                "label": row["label"],
                "source_id": row["source_id"],
                "verdict": row["verdict"].replace("_", " "),
                "kept": row["verdict"] == "kept",
            }
            for row in rows
        ],
    }


def _evidence(row: dict[str, Any]) -> str:
    parts = [STEPS.get(row["step"], row["step"] or "")]
    if row["transform"]:
        parts.append(TRANSFORMS.get(row["transform"], row["transform"]))
    if row["step"] == "near":
        parts += [f"{row['distance']} bit{'' if row['distance'] == 1 else 's'} apart"] if row["distance"] is not None else []
        parts += [f"{100 * row['agreement']:.0f} % agree"] if row["agreement"] is not None else []
    return ", ".join(part for part in parts if part)


def _uri(image: Image.Image | None) -> str | None:
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


def exclusions(inputs: Inputs) -> dict[str, Any]:
    """Pairs of pictures between domains where one is kept out of training, and how many more there are."""
    listed = inputs.manifest["exclusions"]
    shown = [row for row in listed if row["domain"] in inputs.domains and row["because_domain"] in inputs.domains][:MOST_PAIRS]
    wanted = [(row["domain"], row["key"]) for row in shown] + [(row["because_domain"], row["because_key"]) for row in shown]
    sides = _records(inputs, wanted)
    pairs = [(sides.get((r["domain"], r["key"])), sides.get((r["because_domain"], r["because_key"]))) for r in shown]
    whole = [(one, other) for one, other in pairs if one and other]
    return {"pairs": whole, "count": len(listed), "more": len(listed) - len(whole)}


def _records(inputs: Inputs, wanted: list[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """What to show of (domain, key): picture, label and name at the source."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name in sorted({domain for domain, _ in wanted}):
        keys = [key for domain, key in wanted if domain == name]
        rows = inputs.domains[name].ledger.filter(pl.col("key").is_in(keys)).select("key", "source_id", "label")
        pictures = raw_thumbnails(inputs.layout.raw(name), rows["source_id"].to_list(), SIDE)
        for key, source_id, label in rows.iter_rows():
            uri = _uri(pictures.get(source_id))
            found[name, key] = {"domain": name, "uri": uri, "label": label, "source_id": source_id}
    return found
