"""Verify what training reads of a domain: sums, the shards it belongs to, and its tensors against their digests."""

import polars as pl

from pipelines.check_origins import Read, check_files
from pipelines.encode import VIEWS, read_encoded
from pipelines.features import ABOUT, FILE, digest, map_tensor
from pipelines.layout import Layout
from pipelines.sums import SUMS, domain_digest


def check_encoded(name: str, layout: Layout, read: Read) -> list[str]:
    """Problems of an encoded domain; where it is not encoded there is none, and the manifest's check misses it."""
    folder, domain = layout.encoded(name), layout.domain(name)
    if not folder.exists() or not (domain / SUMS).exists():
        return []
    problems = check_files(folder, layout, read)
    if problems:
        return problems  # what follows would only repeat it
    about = read_encoded(layout, name)
    if about["domain_digest"] != domain_digest(domain):
        problems.append(f"{folder / ABOUT}: made from other shards than those on disk")
    tensors = {about["tensor"]: "features_digest"} | ({VIEWS: "views_digest"} if about["views"] else {})
    images = pl.scan_parquet(domain / "index.parquet").select(pl.len()).collect().item()
    for tensor, field in tensors.items():
        rows = map_tensor(folder / FILE, tensor)
        if len(rows) != images:
            problems.append(f"{folder / FILE}: {len(rows)} rows of {tensor}, the index has {images}")
        elif digest(rows) != about[field]:
            problems.append(f"{folder / FILE}: {tensor} differ from their digest")
    return problems
