"""The cards and presets that are committed, against what their sources publish, and the search over them."""

import argparse
import re
from pathlib import Path

import polars as pl
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from made_domains import write_card

from pipelines import catalog
from pipelines.cards import Card, load_card
from pipelines.catalog import SIZES
from pipelines.catalog.search import SCHEMA, SHOWN, catalogue, find, show
from pipelines.curation import Curation, Duplicates, Quality, Splits
from pipelines.gpicl_settings import Gpicl
from pipelines.layout import Layout
from pipelines.licences import canonical
from pipelines.params import Measurement, Params, Training, load_params
from pipelines.phases_settings import Phases
from pipelines.sources import kind_of
from training.measure.design import Company, subsets, unique

ROOT = Path(__file__).parents[2]
PATHS = sorted((ROOT / "collections").glob("*.yaml"))
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))
META_ALBUM = {size: ROOT / "presets" / f"meta-album-{size}.yaml" for size in SIZES}
# Classes and images of all data sets of a size, as Meta-Album publishes them; PanNuke counts with 20 classes in Micro there
PUBLISHED = {"micro": (30, 600, 24000), "mini": (30, 4080, 163150), "extended": (27, 2001, 1384673)}


@pytest.fixture(scope="module")
def cards() -> dict[str, Card]:
    return {path.stem: load_card(path) for path in PATHS}


def of_size(cards: dict[str, Card], size: str) -> dict[str, Card]:
    return {name: card for name, card in cards.items() if re.fullmatch(rf"ma_.*_{size}", name)}


@pytest.mark.parametrize("size", SIZES)
def test_meta_album_adds_up(cards: dict[str, Card], size: str) -> None:
    found = of_size(cards, size)
    counts = {name: card.counts for name, card in found.items() if card.counts}
    assert len(counts) == len(found)
    classes, images = sum(count.classes for count in counts.values()), sum(count.images for count in counts.values())
    if size == "micro":
        assert (counts["ma_pannuke_micro"].classes, counts["ma_pannuke_micro"].images) == (19, 760)
        classes, images = classes + 1, images + 40
    assert (len(found), classes, images) == PUBLISHED[size]


def test_meta_album_is_whole(cards: dict[str, Card]) -> None:
    """Ten subject areas of three sets; each set has an OpenML id of its own and is the same thing in every size."""
    found = [(size, name.removesuffix(f"_{size}"), card) for size in SIZES for name, card in of_size(cards, size).items()]
    assert len({card.source.locator for *_, card in found}) == len(found) == 87
    areas: dict[str, set[str]] = {}
    for size, name, card in found:
        mini = cards[f"{name}_mini"]
        assert (card.domain, card.licence, card.homepage, card.citation) == (
            mini.domain,
            mini.licence,
            mini.homepage,
            mini.citation,
        )
        assert card.title == mini.title.replace(", Mini)", f", {size.capitalize()})")
        assert card.source.kind == "openml"
        assert 44237 <= int(card.source.locator) <= 44343
        assert card.source.label.layout == "meta_album"
        areas.setdefault(card.domain, set()).add(name)
    assert sorted(len(names) for names in areas.values()) == [3] * 10


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_card_is_complete(path: Path) -> None:
    card = load_card(path)
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["licence"] == canonical(card.licence), "not as SPDX writes it"
    kind_of(card, path.name)
    assert card.citation
    assert card.counts or card.source.kind == "generated"
    if card.source.kind in ("openml", "huggingface"):
        assert card.homepage.startswith("https://")
    if card.licence == "unknown":
        assert "licence" in card.description, "say where no licence was found"


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_is_whole(path: Path, cards: dict[str, Card]) -> None:
    params = load_params(path)
    assert set(params.domains) <= set(cards)
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    models = {"curation": Curation, "training": Training, "measurement": Measurement, "gpicl": Gpicl, "phases": Phases}
    for section, model in models.items():
        assert set(written[section]) == set(model.model_fields), "DVC needs every key"
    for section, part in {"splits": Splits, "quality": Quality, "duplicates": Duplicates}.items():
        assert set(written["curation"][section]) == set(part.model_fields)
    for name in params.domains:
        counts = cards[name].counts
        assert counts is None or counts.classes >= max(params.training.n_way, params.measurement.n_way)


@pytest.mark.parametrize("size", SIZES)
def test_meta_album_presets(size: str, cards: dict[str, Card]) -> None:
    """All sets of the size are there, listed or as a comment; no subject that is measured on is trained on; nothing is cut."""
    params = load_params(META_ALBUM[size])
    named = re.findall(rf"^  (?:# )?(ma_\w+_{size}): ", META_ALBUM[size].read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(named) == sorted(of_size(cards, size))
    subjects = {role: {cards[name].domain for name in params.in_role(role)} for role in ("train", "held_out", "spare")}
    assert not subjects["held_out"] & (subjects["train"] | subjects["spare"])
    assert len(subjects["held_out"]) == 3
    if size != "extended":
        assert params.curation.min_per_class <= 40 == params.curation.cap_per_class
        assert params.curation.min_side <= 128 <= params.curation.image_side
    said = re.search(r"(\d+) (?:images )?in the (\d+) listed", META_ALBUM[size].read_text(encoding="utf-8"))
    assert said is not None
    listed = [card.counts.images for name in params.domains if (card := cards[name]).counts]
    assert (int(said[1]), int(said[2])) == (sum(listed), len(listed))
    assert f"makes {_subsets(params)} as it stands" in META_ALBUM[size].read_text(encoding="utf-8")


def _subsets(params: Params) -> int:
    company, asked = Company(tuple(params.in_role("train")), tuple(params.in_role("spare"))), params.measurement
    return len(unique(subsets(company, asked.designs, random_subsets=asked.random_subsets, seed=asked.seed)))


def test_hub_small_states_every_licence(cards: dict[str, Card]) -> None:
    params = load_params(ROOT / "presets" / "hub-small.yaml")
    assert {cards[name].source.kind for name in params.domains} == {"huggingface"}
    assert "unknown" not in {cards[name].licence for name in params.domains}


@pytest.fixture
def made(tmp_path: Path) -> Layout:
    """Four cards that differ in what the search looks at."""
    write_card(tmp_path, "ferns_micro", domain="Plants", licence="MIT", counts={"classes": 20, "images": 800})
    write_card(tmp_path, "ferns_mini", domain="Plants", licence="CC-BY-NC-4.0", counts={"classes": 90, "images": 3600})
    write_card(tmp_path, "fonts", domain="characters", licence="OFL-1.1 AND MIT", description="Ferns are not shown.")
    write_card(
        tmp_path,
        "rust",
        domain="plant diseases",
        licence="CC-BY-4.0 OR LicenseRef-House",
        counts={"classes": 3, "images": 90},
        source={"kind": "huggingface", "locator": "someone/rust", "label": {"column": "label"}},
    )
    return Layout(tmp_path)


def test_the_catalogue_holds_every_card_in_order(made: Layout) -> None:
    frame = catalogue(made)
    assert dict(frame.schema) == {name: kind() for name, kind in SCHEMA.items()}
    assert frame["id"].to_list() == ["fonts", "rust", "ferns_micro", "ferns_mini"]
    assert frame["size"].to_list() == [None, None, "micro", "mini"]
    assert frame["images"].to_list() == [None, 90, 800, 3600]
    assert frame["state"].to_list() == ["card"] * 4
    assert catalogue(Layout(made.root / "elsewhere")).is_empty()


def test_the_catalogue_says_what_is_here(made: Layout) -> None:
    (made.raw("rust")).mkdir(parents=True)
    (made.raw("rust") / "source.json").write_text("{}")
    assert catalogue(made).filter(pl.col("state") == "downloaded")["id"].to_list() == ["rust"]


def test_a_bad_card_is_named(made: Layout) -> None:
    write_card(made.root, "moss", licence="free for all")
    with pytest.raises(ValueError, match=r"moss\.yaml: licence: expected an SPDX expression"):
        catalogue(made)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", ["fonts", "rust", "ferns_micro", "ferns_mini"]),
        ("ferns", ["fonts", "ferns_micro", "ferns_mini"]),
        ("FERNS made", ["fonts", "ferns_micro", "ferns_mini"]),
        ("ferns shown", ["fonts"]),
        ("plant", ["rust", "ferns_micro", "ferns_mini"]),
        (".*", []),
        ("--subject plants", ["ferns_micro", "ferns_mini"]),
        ("--subject PLANT", ["rust", "ferns_micro", "ferns_mini"]),
        ("--licence mit", ["ferns_micro"]),
        ("--licence MIT --licence OFL-1.1", ["fonts", "ferns_micro"]),
        ("--licence OFL-1.1", []),
        ("--licence cc-by*", ["rust", "ferns_mini"]),
        ("--licence CC-BY-4.0", ["rust"]),
        ("--licence LicenseRef-House", ["rust"]),
        ("--licence *", ["fonts", "rust", "ferns_micro", "ferns_mini"]),
        ("--licence unknown", []),
        ("--max-images 800", ["rust", "ferns_micro"]),
        ("--min-classes 20", ["ferns_micro", "ferns_mini"]),
        ("--kind huggingface", ["rust"]),
        ("--size mini", ["ferns_mini"]),
        ("ferns --licence CC-* --min-classes 4", ["ferns_mini"]),
    ],
)
def test_the_command_finds(made: Layout, capsys: pytest.CaptureFixture[str], words: str, expected: list[str]) -> None:
    assert catalog.run(arguments(words), made) == (0 if expected else 1)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == list(SHOWN)
    assert lines[-1].startswith(f"{len(expected)} of 4 domains")
    assert [line.split()[0] for line in lines[: len(expected)]] == expected


def test_a_single_find_is_told_in_full(made: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    catalog.run(arguments("--size mini"), made)
    out = capsys.readouterr().out
    assert "Made ferns_mini\nDiscs on noise.\nlicence: CC-BY-NC-4.0\n" in out
    assert "put a line `ID: train` under domains: in params.yaml" in out


def test_a_licence_that_is_none_is_refused(made: Layout) -> None:
    with pytest.raises(ValueError, match="--licence: expected an SPDX expression"):
        catalog.run(arguments("--licence gratis"), made)


def arguments(words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    catalog.add_arguments(parser)
    return parser.parse_args(words.split())


def test_the_committed_cards_fit_the_page() -> None:
    frame = catalogue(Layout(ROOT))
    assert frame.height == len(PATHS)
    lines = show(frame, frame.height).splitlines()
    assert max(map(len, lines)) <= 150
    assert len(lines) == frame.height + 3
    assert lines[-1].startswith(f"{frame.height} of {frame.height} domains; ")


FRAME = st.lists(
    st.fixed_dictionaries(
        {
            "id": st.text("abc", min_size=1, max_size=4),
            "description": st.text("ABC. ", max_size=5),
            "licence": st.sampled_from(["MIT", "MIT OR CC0-1.0", "MIT AND CC0-1.0"]),
            "images": st.none() | st.integers(1, 3),
        }
    ),
    min_size=1,
    max_size=6,
).map(lambda rows: pl.DataFrame([dict.fromkeys(SCHEMA) | {"title": "", "subject": ""} | row for row in rows], schema=SCHEMA))


@given(FRAME, st.lists(st.text("aC.", min_size=1, max_size=2), max_size=2), st.none() | st.integers(1, 3))
def test_each_condition_narrows_the_search(frame: pl.DataFrame, words: list[str], most: int | None) -> None:
    """All at once is one after another in any order; rows keep their order; what is left out fails a condition."""
    found = find(frame, words, licence=["MIT"], max_images=most)
    step = find(find(frame, max_images=most), licence=["MIT"])
    for word in reversed(words):
        step = find(step, [word])
    assert found.equals(step)
    kept = [
        all(word.lower() in f"{row['id']}\n{row['description']}".lower() for word in words)
        and row["licence"] in ("MIT", "MIT OR CC0-1.0")
        and (most is None or (row["images"] is not None and row["images"] <= most))
        for row in frame.iter_rows(named=True)
    ]
    assert found.equals(frame.filter(pl.Series(kept, dtype=pl.Boolean)))
