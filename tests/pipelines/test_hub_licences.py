"""SPDX expressions as the Hub names them, and what may be passed on without having been read."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_licences import expressions

from pipelines.cards import load_card
from pipelines.licences import allowed, canonical, identifiers, terms, unlisted
from pipelines.publishing.hub_licences import SAME, address, hub_fields, hub_id

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("CC0-1.0", "cc0-1.0"),
        ("Apache-2.0", "apache-2.0"),
        ("GPL-2.0-only", "gpl-2.0"),
        ("AGPL-3.0-or-later", "agpl-3.0"),
        ("GPL-1.0-only", "other"),
        ("ODbL-1.0", "odbl"),
        ("GFDL-1.3-or-later", "gfdl"),
        ("LicenseRef-ImageNet", "other"),
        ("MIT OR CC0-1.0", "other"),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "other"),
        ("Bitstream-Vera", "other"),
        ("unknown", "unknown"),
    ],
)
def test_hub_id(licence: str, wanted: str) -> None:
    assert hub_id(canonical(licence)) == wanted


def test_the_hubs_list_is_made_of_spdx_ids() -> None:
    for name in SAME:
        assert hub_id(canonical(name)) == name


def test_one_licence_several_and_one_without_an_id() -> None:
    assert hub_fields(["MIT", "MIT"], "x") == {"license": "mit"}
    assert hub_fields(["MIT", "CC-BY-4.0"], "x") == {"license": ["cc-by-4.0", "mit"]}
    assert hub_fields(["LicenseRef-SVHN-NonCommercial"], "https://example.org") == {
        "license": "other",
        "license_name": "licenseref-svhn-noncommercial",
        "license_link": "https://example.org",
    }
    assert hub_fields(["MIT", "LicenseRef-x"], "LICENSE.md")["license_name"] == "one-a-domain"


def test_every_card_here_has_fields_that_the_hub_knows() -> None:
    for path in sorted((ROOT / "collections").glob("*.yaml")):
        if "." in path.stem:
            continue
        licence = load_card(path).licence
        found = hub_fields([licence], "x")
        assert found["license"] in SAME | {"gpl-2.0", "odbl", "unknown", "other"}
        assert (found["license"] == "other") == ("license_name" in found)


def test_address() -> None:
    assert address("CC-BY-4.0") == "https://spdx.org/licenses/CC-BY-4.0.html"
    assert address("unknown") is address("LicenseRef-x") is address("MIT OR CC0-1.0") is None


def test_identifiers_and_terms() -> None:
    expression = canonical("(MIT OR LicenseRef-x) AND gpl-2.0-only WITH Classpath-exception-2.0 AND MIT")
    assert identifiers(expression) == ["MIT", "LicenseRef-x", "GPL-2.0-only WITH Classpath-exception-2.0"]
    assert [words.split()[1] for words in terms("CC-BY-NC-ND-4.0")] == ["commercial", "changed"]
    assert terms("CC-BY-SA-4.0") == ["changed copies only under the same licence"]
    assert terms("CC-BY-4.0") == terms("NCSA") == terms("unknown") == []


@given(expressions())
def test_unlisted_is_what_the_listed_ids_alone_do_not_allow(expression: str) -> None:
    licence = canonical(expression)
    assert unlisted(licence) is not allowed(licence, ["MIT", "CC0-1.0", "Apache-2.0", "CC-BY-4.0"])
    assert not unlisted(licence, ["LicenseRef-Own"])
    assert not unlisted(licence, [licence])


@given(st.sampled_from(["unknown", "LicenseRef-x"]), st.sampled_from(["unknown", "LicenseRef-x", "MIT"]))
def test_only_what_was_read_is_accepted(licence: str, accepted: str) -> None:
    assert unlisted(licence, [accepted]) is (licence != accepted)
