"""A publication in a folder: made beside it and renamed, and never in the place of anything but an earlier one."""

import shutil
from pathlib import Path

from pipelines.files import atomic_folder, sha256_file
from pipelines.layout import Layout
from pipelines.publishing.plan import Plan
from pipelines.sums import SUMS, parse_sums


def refuse_others(target: Path, layout: Layout) -> None:
    """Raise ValueError (one line) if a publication may not take the place of `target`."""
    target = target.resolve()
    for own in (
        layout.cards,
        layout.root / "raw",
        layout.root / "features",
        layout.root / "embeddings",
        layout.root / "encoded",
        layout.state,
    ):
        if target.is_relative_to(own.resolve()):
            raise ValueError(f"{target}: lies in {own}, which the stages own; name a folder elsewhere")
    if not target.exists():
        return
    if not target.is_dir():
        raise ValueError(f"{target}: expected a folder, found a file")
    names = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    listed = parse_sums((target / SUMS).read_text(encoding="utf-8")).keys() | {SUMS} if SUMS in names else set()
    foreign = sorted(names - listed)
    if foreign:
        raise ValueError(f"{target}: holds {foreign[0]}, which no publication wrote; name an empty or new folder")


def put(plan: Plan, target: Path) -> None:
    """Write a publication whole or not at all. Raises ValueError if a file has changed since it was checked."""
    with atomic_folder(target.resolve()) as folder:
        for path, (source, file) in plan.copies.items():
            copied = folder / path
            copied.parent.mkdir(exist_ok=True)
            shutil.copyfile(source, copied)
            if sha256_file(copied) != file.sha256:
                raise ValueError(f"{source}: changed while it was copied; run it again")
        for path, text in plan.texts.items():
            (folder / path).write_bytes(text)
