"""Cards and parameters: a mistake is one line with the file, the field and what was expected."""

from pathlib import Path

import pytest
import yaml

from pipelines.cards import load_card
from pipelines.params import load_params

ROOT = Path(__file__).parents[2]
CARD = {
    "id": "pebbles",
    "title": "Pebbles",
    "domain": "stones",
    "description": "Pebbles on a beach.",
    "licence": "CC0-1.0",
    "source": {"kind": "archive", "locator": "pebbles.zip"},
}
PARAMS = {"domains": {"pebbles": "train", "shells": "held_out"}}


def write(path: Path, value: object) -> Path:
    path.write_text(yaml.safe_dump(value))
    return path


def test_a_good_card_loads(tmp_path: Path) -> None:
    card = load_card(write(tmp_path / "pebbles.yaml", CARD))
    assert card.title == "Pebbles"
    assert card.source.locator == "pebbles.zip"


@pytest.mark.parametrize(
    ("written", "read"), [("1998", "1998"), ("1998-11", "1998-11"), ("1998-11-30", "1998-11-30"), ("'1998'", "1998")]
)
def test_a_card_may_say_when_it_was_published(tmp_path: Path, written: str, read: str) -> None:
    path = write(tmp_path / "pebbles.yaml", CARD)
    path.write_text(path.read_text() + f"published: {written}\n")
    assert load_card(path).published == read


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"published": "spring 1998"}, "published: expected a year, a month or a day such as 1998"),
        ({"published": "1998-13"}, "published: expected a year"),
        ({"published": True}, "published: expected a year"),
        ({"id": "shells"}, "id: expected 'pebbles' as in the file's name, found 'shells'"),
        ({"id": "Pebbles!"}, "id: expected a-z"),
        ({"licence": None}, "licence: input should be a valid string"),
        ({"colour": "grey"}, "colour: unknown field; known here: id, title"),
        ({"source": {"kind": "archive"}}, "source.locator: missing"),
        ({"source": {"kind": "archive", "locator": "x", "checksum": "sha256:12"}}, "source.checksum"),
        ({"source": {"kind": "archive", "locator": "x", "label": {"layout": "heap"}}}, "source.label.layout"),
        ({"curation": {"min_side": 0}}, "curation.min_side"),
    ],
)
def test_a_bad_card_is_one_line(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = write(tmp_path / "pebbles.yaml", CARD | change)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_card(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_broken_cards(tmp_path: Path) -> None:
    write(tmp_path / "pebbles.yaml", CARD)
    with pytest.raises(ValueError, match=r"no card for domain 'sand'.*pebbles"):
        load_card(tmp_path / "sand.yaml")
    (tmp_path / "sand.yaml").write_text("a: [1,\nb: }")
    with pytest.raises(ValueError, match=r"sand.yaml: not valid YAML at line"):
        load_card(tmp_path / "sand.yaml")
    (tmp_path / "sand.yaml").write_text("- a\n- b\n")
    with pytest.raises(ValueError, match="expected a mapping of fields, found list"):
        load_card(tmp_path / "sand.yaml")
    (tmp_path / "sand.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"expected UTF-8 text|not valid YAML"):
        load_card(tmp_path / "sand.yaml")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"domains": {"a": "train", "b": "trains"}},
            "domains.b: input should be 'train', 'held_out' or 'spare', found 'trains'",
        ),
        ({"domains": {"a": "train"}}, "domains: expected at least one domain with the role 'held_out'"),
        ({"domains": {"../a": "train", "b": "held_out"}}, "is no domain name"),
        (
            {"curation": {"min_side": 0}},
            "curation.min_side: input should be greater than or equal to 1 (range 1 to 4096), found 0",
        ),
        ({"curation": {"min_sid": 3}}, "curation.min_sid: unknown field; known here: min_side"),
        ({"curation": {"splits": {"test": 0.9}}}, "curation.splits.test"),
        ({"training": {"steps": "many"}}, "training.steps: input should be a valid integer"),
        ({"training": {"min_shot": 6, "max_shot": 5}}, "min_shot must not exceed max_shot"),
        ({"measurement": {"n_shots": [1, 1]}}, "measurement.n_shots: expected different whole numbers in 1 to 100"),
        ({"measurement": {"designs": ["removals"]}}, "measurement.designs.0: input should be 'removal', 'replacement'"),
        ({"measurement": {"designs": ["pairs", "pairs"]}}, "measurement.designs: expected different designs, found"),
        ({"measurement": {"seeds": 0}}, "measurement.seeds: input should be greater than or equal to 1"),
        ({"measurement": {"margin": 0}}, "measurement.margin: input should be greater than 0"),
        (
            {"measurement": {"seeds": 3, "max_trainings": 2}},
            "max_trainings must not be less than seeds, which one subset needs",
        ),
        ({"measurements": {}}, "measurements: unknown field"),
    ],
)
def test_a_wrong_parameter_is_one_line(tmp_path: Path, change: dict[str, object], words: str) -> None:
    path = write(tmp_path / "params.yaml", PARAMS | change)
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        load_params(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_committed_is_valid() -> None:
    cards = sorted((ROOT / "collections").glob("*.yaml"))
    assert len(cards) >= 17
    for path in cards:
        assert load_card(path).id == path.stem
    for path in [ROOT / "params.yaml", *(ROOT / "presets").glob("*.yaml")]:
        for domain in load_params(path).domains:
            assert (ROOT / "collections" / f"{domain}.yaml").exists()


def test_collections_is_no_package() -> None:
    assert not list((ROOT / "collections").glob("**/__init__.py"))
