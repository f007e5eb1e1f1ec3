"""Names out of what sources are called, and licences as SPDX writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.add.naming import TAKEN, domain_id, licence_of_source, spdx, stem, title_of
from pipelines.cards import DOMAIN_ID
from pipelines.licences import canonical


@pytest.mark.parametrize(
    ("source", "told", "name"),
    [
        ("pictures/pebbles.zip", "pebbles", "pebbles"),
        ("cats-vs-dogs.tar.gz", "cats-vs-dogs", "cats_vs_dogs"),
        ("pebbles/images", "pebbles", "pebbles"),
        ("flowers/train-{0000..0007}.tar", "flowers", "flowers"),
        ("host/user/repo/archive/refs/heads/main.zip", "repo", "repo"),
        ("user/Oxford-IIIT_Pet", "Oxford-IIIT_Pet", "oxford_iiit_pet"),
        ("data/*.tar", "data", "data"),
        ("data/102flowers.tgz", "102flowers", "set_102flowers"),
        ("Große Steine.zip", "Große Steine", "groe_steine"),
        ("石.zip", "石", "domain"),
        ("mean.zip", "mean", "mean_2"),
        ("manifest", "manifest", "manifest_2"),
        (
            "000000000000000000000000000000000000000000000000!",
            "000000000000000000000000000000000000000000000000!",
            "set_" + 36 * "0",
        ),
        ("", "domain", "domain"),
    ],
)
def test_names(source: str, told: str, name: str) -> None:
    assert stem(source) == told
    assert domain_id(told) == name


@given(st.text(max_size=80), st.sets(st.text("ab_2", min_size=1, max_size=3), max_size=8))
def test_any_name_gives_a_free_id(name: str, used: set[str]) -> None:
    made = domain_id(stem(name), used)
    assert DOMAIN_ID.fullmatch(made)
    assert made not in used | set(TAKEN)
    again = domain_id(stem(name), used | {made})
    assert again != made
    assert DOMAIN_ID.fullmatch(again)


def test_titles() -> None:
    assert title_of("cats_vs-dogs") == "Cats vs dogs"
    assert title_of("MNIST") == "MNIST"
    assert title_of("_") == "_"


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ("cc-by-4.0", "CC-BY-4.0"),
        ("CC BY 4.0", "CC-BY-4.0"),
        ("CC BY-NC-SA 4.0", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution 4.0", "CC-BY-4.0"),
        ("Creative Commons Attribution 4.0 International (CC BY 4.0)", "CC-BY-4.0"),
        ("Creative Commons Attribution-NonCommercial-ShareAlike 4.0 International", "CC-BY-NC-SA-4.0"),
        ("Creative Commons Attribution-NoDerivs 3.0 Unported License", "CC-BY-ND-3.0"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "CC-BY-NC-4.0"),
        ("http://creativecommons.org/licenses/by/4.0/deed.en", "CC-BY-4.0"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "CC0-1.0"),
        ("CC0: Public Domain", "CC0-1.0"),
        ("CC BY 3.0 DE", "CC-BY-3.0-DE"),
        ("mit", "MIT"),
        ("The MIT License", "MIT"),
        ("apache 2.0", "Apache-2.0"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("https://www.apache.org/licenses/LICENSE-2.0.html", "Apache-2.0"),
        ("https://spdx.org/licenses/BSD-3-Clause.html", "BSD-3-Clause"),
        ("odc-by", "ODC-By-1.0"),
        ("MIT and Apache-2.0", "MIT AND Apache-2.0"),
        ("unknown", "unknown"),
    ],
)
def test_licences_as_sources_write_them(said: str, licence: str) -> None:
    assert spdx(said) == licence
    assert licence_of_source(said) == (licence, None)


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        ("CC BY", "LicenseRef-CC-BY"),  # which version?
        ("cc", "LicenseRef-cc"),
        ("cc by nd sa 4.0", "LicenseRef-cc-by-nd-sa-4.0"),  # there is no such licence
        ("GPL v3", "LicenseRef-GPL-v3"),  # only, or later?
        ("bsd", "LicenseRef-bsd"),
        ("Public Domain", "LicenseRef-Public-Domain"),  # a claim, no licence
        ("openrail", "LicenseRef-openrail"),
        ("Public", "unknown"),
        ("other", "unknown"),
        ("---", "unknown"),
    ],
)
def test_what_is_not_certain_is_said(said: str, licence: str) -> None:
    assert spdx(said) is None
    found, doubt = licence_of_source(said)
    assert found == licence
    assert doubt is not None
    assert said in doubt


@given(st.text(max_size=200))
def test_any_text_gives_a_licence_that_a_card_takes(text: str) -> None:
    licence, _ = licence_of_source(text)
    assert canonical(licence) == licence
