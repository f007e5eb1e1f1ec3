"""What is said of raw records beside them: names, sums, planted dirt, pictures that could not be had."""

import hashlib
from pathlib import Path

import polars as pl

from pipelines.seen import Seen
from pipelines.sources import RawRecord

PLANTED = {"source_id": pl.String, "kind": pl.String, "of": pl.String, "domain": pl.String}
FAILURES = {"source_id": pl.String, "status": pl.Int32, "reason": pl.String}
GROUP = b"\xff" * 8  # stands before a record's group, where it has one; no length of a piece is as large


class Notes:
    """What is said of the records beside them; a name takes about 30 bytes."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen = Seen()
        self._hash = hashlib.sha256()
        self.bytes = 0
        self.planted: list[tuple[str, str, str | None, str | None]] = []
        self.failures: list[tuple[str, int | None, str]] = []

    @property
    def records(self) -> int:
        return len(self._seen)

    @property
    def content(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def take(self, group: list[RawRecord]) -> None:
        """Note these records. Raises ValueError if one has the source_id of another."""
        for source_id, _, data, planted, fault, _ in group:
            if not self._seen.add(source_id):
                raise ValueError(f"{self._source}: two records with the source_id {source_id!r}; each needs its own")
            self.bytes += len(data)
            if planted is not None:
                self.planted.append((source_id, *planted))
            if fault is not None:
                self.failures.append((source_id, fault.status, fault.reason))

    def write(self, folder: Path) -> None:
        """Write planted.parquet and failures.parquet."""
        pl.DataFrame(self.planted, schema=PLANTED, orient="row").write_parquet(folder / "planted.parquet")
        pl.DataFrame(self.failures, schema=FAILURES, orient="row").write_parquet(folder / "failures.parquet")

    def digest(self, group: list[RawRecord]) -> None:
        """Take these records into `content`."""
        pieces: list[bytes] = []
        for source_id, label, data, _, _, said in group:
            for piece in (source_id.encode(), label.encode(), hashlib.sha256(data).digest()):
                pieces += (len(piece).to_bytes(8, "little"), piece)
            if said is not None:
                pieces += (GROUP, len(said.encode()).to_bytes(8, "little"), said.encode())
        self._hash.update(b"".join(pieces))
