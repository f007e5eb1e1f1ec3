"""What a publication would hold, in words for the terminal."""

from pathlib import PurePath

from pipelines.licences import terms
from pipelines.publishing.described import Described
from pipelines.publishing.plan import Plan


def told(plan: Plan, target: str, *, done: bool) -> str:
    """Each domain with its licence and counts, each file with its size, and what its publisher should know."""
    sizes = plan.sizes()
    rows = [["configuration", "licence", "images", "classes", "files", "size"]]
    for domain in plan.domains:
        own = {path: size for path, size in sizes.items() if path.startswith(f"{domain.card.id}/")}
        counts = [str(domain.stats[name]) for name in ("kept", "classes")]
        rows.append([domain.card.id, domain.card.licence, *counts, str(len(own)), _size(sum(own.values()))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    files = [f"  {_size(size):>9}  {path}" for path, size in sizes.items()]
    notes = [f"note: {note}" for domain in plan.domains for note in _notes(domain)]
    domains = "1 domain" if len(plan.domains) == 1 else f"{len(plan.domains)} domains"
    whole = f"{domains}, {len(sizes)} files, {_size(sum(sizes.values()))}"
    last = f"publishing {whole} to {target}" if done else f"would publish {whole} to {target}; --push does it"
    return "\n".join([*table, "files:", *files, *notes, last])


def _notes(domain: Described) -> list[str]:
    card = domain.card
    found = [f"{card.id}: {card.licence}: {words}" for words in terms(card.licence)]
    locator = card.source.locator
    if PurePath(locator).is_absolute() or locator.startswith(("~", "file:")):
        found.append(f"{card.id}: its provenance.json names a path of this machine, {locator}")
    return found


def _size(size: int) -> str:
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if size >= 10**power:
            return f"{size / 10**power:.1f} {unit}"
    return f"{size} B"
