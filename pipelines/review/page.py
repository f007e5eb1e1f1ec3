"""The review page as one HTML file that fetches nothing: the template, with every value escaped."""

import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipelines.cards import load_card
from pipelines.files import write_text
from pipelines.layout import Layout
from pipelines.overrides import Overrides, load_overrides
from pipelines.review.sections import Section, sections
from pipelines.review.thumbs import thumbs

HERE = Path(__file__).parent
TABLES = ("ledger", "duplicates", "suspects")


def write_page(domain: str, layout: Layout, target: Path) -> str:
    """Write the page of a curated domain; returns what is on it in words.

    Raises ValueError (one line) if the domain is unknown or not curated, or its overrides are malformed.
    """
    card = load_card(layout.card(domain))
    folder = layout.domain(domain)
    if not all((folder / f"{name}.parquet").exists() for name in TABLES):
        raise ValueError(f"{folder}: not curated yet; list {domain} under domains: in {layout.params} and run `dvc repro`")
    ledger, evidence, suspects = (pl.read_parquet(folder / f"{name}.parquet") for name in TABLES)
    overrides = load_overrides(layout.overrides(domain))
    decided = sorted({key for _, key, _ in overrides.rows()} | set(ledger.filter(pl.col("override").is_not_null())["key"]))
    shown = sections(ledger, evidence, suspects, decided)
    keys = {member.key for section in shown for group in section.groups for member in group.members}
    records = {row["key"]: row for row in ledger.filter(pl.col("key").is_in(list(keys))).iter_rows(named=True)}
    state = {
        "domain": domain,
        "state": _digest(folder / "ledger.parquet", layout.overrides(domain)),
        "decisions": decisions(overrides),
        "sources": {key: row["source_label"] for key, row in records.items()},  # what a relabelling may not say again
    }
    html = (
        _environment()
        .get_template("review.html.j2")
        .render(
            card=card,
            records=records,
            kept=ledger.filter(pl.col("verdict") == "kept").height,
            total=ledger.height,
            sections=shown,
            pictures=thumbs(ledger, keys, folder, layout.raw(domain)),
            labels=ledger["label"].unique().sort().to_list(),
            state=_script_json(state),
            style=Markup((HERE / "style.css").read_text(encoding="utf-8")),
            script=Markup((HERE / "review.js").read_text(encoding="utf-8")),
        )
    )
    write_text(target, html)
    return f"{_counted(shown)} ({len(html.encode()) / 1e6:.1f} MB)"


def decisions(overrides: Overrides) -> dict[str, dict[str, str]]:
    """key -> {do, reason, label} as the page's script keeps them."""
    return {key: {"do": hand, "reason": d.reason, "label": getattr(d, "label", "")} for hand, key, d in overrides.rows()}


def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _script_json(value: Any) -> Markup:
    """JSON that no `</script>` or comment in a label can end."""
    text = json.dumps(value, ensure_ascii=True, sort_keys=True)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


def _digest(ledger: Path, overrides: Path) -> str:
    """Names the state that decisions in a browser belong to."""
    found = hashlib.sha256(ledger.read_bytes())
    found.update(overrides.read_bytes() if overrides.exists() else b"")
    return found.hexdigest()[:16]


def _counted(shown: list[Section]) -> str:
    counts = [f"{section.title.lower()} {section.count}" for section in shown if section.groups]
    return ", ".join(counts) if counts else "nothing to decide"
