"""Images that occur in two domains, the exclusions that follow, and two domains that are one."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from pipelines.copies import ThumbRows
from pipelines.curation import Curation
from pipelines.evidence import sides
from pipelines.examine import examine
from pipelines.overlap import OVERLAP, Prints, exclusions, find_overlap, refuse_same_domain, same_domain


def scene(seed: int) -> Image.Image:
    small_HWC = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), np.uint8)
    return Image.fromarray(small_HWC).resize((72, 72), Image.Resampling.BICUBIC)


def coded(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def fingerprints(domain: str, *files: bytes) -> Prints:
    names = [f"{domain}{n}" for n in range(len(files))]
    schema = {"source_id": pl.String, "label": pl.String, "data": pl.Binary}
    batch = pl.DataFrame({"source_id": names, "label": names, "data": list(files)}, schema=schema)
    seen = examine(batch, Curation()).with_columns(key="source_id")
    rows = seen.select("key", "sha256", "pixel_hash", side=pl.Series(sides(seen), dtype=pl.Float32))
    return Prints(rows, ThumbRows.of(seen["key"], seen["thumb"]))


def overlap_of(domains: dict[str, Prints]) -> pl.DataFrame:
    return find_overlap(domains, Curation().duplicates)


def backward(found: Prints) -> Prints:
    rows = found.rows.reverse()
    return Prints(rows, found.thumbs.pick(rows["key"]))


def three_domains() -> dict[str, Prints]:
    mirrored = scene(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT).resize((50, 50), Image.Resampling.BICUBIC)
    return {
        "plants": fingerprints("plants", coded(scene(0)), coded(scene(1)), coded(scene(2)), coded(scene(3))),
        "birds": fingerprints("birds", coded(scene(0)), coded(scene(1), "BMP"), coded(mirrored), coded(scene(4))),
        "coins": fingerprints("coins", coded(scene(5)), coded(scene(4))),
    }


def test_pairs_name_the_strictest_step() -> None:
    overlap = overlap_of(three_domains())
    assert dict(overlap.schema) == {name: kind() for name, kind in OVERLAP.items()}
    assert overlap.select("domain_a", "key_a", "domain_b", "key_b", "step", "transform").rows() == [
        ("birds", "birds3", "coins", "coins1", "bytes", "none"),
        ("birds", "birds0", "plants", "plants0", "bytes", "none"),
        ("birds", "birds1", "plants", "plants1", "pixels", "none"),
        ("birds", "birds2", "plants", "plants2", "near", "mirrored"),
    ]


def test_the_order_of_domains_and_rows_does_not_matter() -> None:
    domains = three_domains()
    backwards = {name: backward(domains[name]) for name in reversed(domains)}
    assert overlap_of(backwards).equals(overlap_of(domains))


def test_no_overlap_and_no_images() -> None:
    empty = fingerprints("none")
    for domains in ({}, {"a": empty}, {"a": empty, "b": fingerprints("b", coded(scene(0)))}):
        overlap = overlap_of(domains)
        assert overlap.is_empty()
        assert overlap.columns == list(OVERLAP)
        assert exclusions(overlap, dict.fromkeys(domains, "train")).columns == [
            "domain",
            "key",
            "because_domain",
            "because_key",
        ]


def test_images_of_train_and_spare_that_occur_in_held_out_are_excluded() -> None:
    overlap = overlap_of(three_domains())
    given = exclusions(overlap, {"plants": "train", "birds": "held_out", "coins": "spare"})
    assert given.rows() == [
        ("coins", "coins1", "birds", "birds3"),
        ("plants", "plants0", "birds", "birds0"),
        ("plants", "plants1", "birds", "birds1"),
        ("plants", "plants2", "birds", "birds2"),
    ]
    assert exclusions(overlap, {"plants": "held_out", "birds": "held_out", "coins": "train"}).rows() == [
        ("coins", "coins1", "birds", "birds3")
    ]
    assert exclusions(overlap, {"plants": "train", "birds": "spare", "coins": "held_out"}).rows() == [
        ("birds", "birds3", "coins", "coins1")
    ]
    assert exclusions(overlap, dict.fromkeys(("plants", "birds", "coins"), "train")).is_empty()


def test_an_image_is_excluded_once() -> None:
    twice = {
        "a": fingerprints("a", coded(scene(0))),
        "b": fingerprints("b", coded(scene(0))),
        "c": fingerprints("c", coded(scene(0))),
    }
    given = exclusions(overlap_of(twice), {"a": "held_out", "b": "held_out", "c": "train"})
    assert given.rows() == [("c", "c0", "a", "a0")]


def test_domains_with_the_same_images_are_refused() -> None:
    files = [coded(scene(seed)) for seed in range(10)]
    domains = {
        "big": fingerprints("big", *files, coded(scene(20))),
        "small": fingerprints("small", *files[:9], coded(scene(21))),
    }
    overlap = overlap_of(domains)
    sizes = {name: found.rows.height for name, found in domains.items()}
    assert same_domain(overlap, sizes) == [("small", "big", 0.9)]
    with pytest.raises(
        ValueError, match=r"^domains small and big hold the same images \(90% of small occur in big\); .*params.yaml$"
    ):
        refuse_same_domain(overlap, sizes)
    assert same_domain(overlap, sizes | {"small": 11}) == []
    refuse_same_domain(overlap, sizes | {"small": 11})


def test_several_domains_are_searched_at_once_and_none_within_itself() -> None:
    domains = {
        "a": fingerprints("a", coded(scene(0)), coded(scene(0).resize((60, 60))), coded(scene(1))),
        "b": fingerprints("b", coded(scene(1).resize((60, 60)))),
        "c": fingerprints("c", coded(scene(0).resize((50, 50))), coded(scene(1).resize((50, 50)))),
    }
    pairs = overlap_of(domains).select("domain_a", "key_a", "domain_b", "key_b").rows()
    assert pairs == [
        ("a", "a2", "b", "b0"),
        ("a", "a0", "c", "c0"),
        ("a", "a1", "c", "c0"),
        ("a", "a2", "c", "c1"),
        ("b", "b0", "c", "c1"),
    ]
