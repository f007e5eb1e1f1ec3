"""Licences: SPDX or unknown, and which of them a collection allows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.licences import allowed, canonical
from pipelines.params import Params
from pipelines.settings import validate

IDS = ("MIT", "CC0-1.0", "Apache-2.0", "CC-BY-4.0", "LicenseRef-Own")


@pytest.mark.parametrize(
    ("written", "spdx"),
    [
        ("mit", "MIT"),
        (" cc-by-4.0 ", "CC-BY-4.0"),
        ("Unknown", "unknown"),
        ("LicenseRef-ImageNet", "LicenseRef-ImageNet"),
        ("mit and (cc0-1.0 or gpl-2.0-only)", "MIT AND (CC0-1.0 OR GPL-2.0-only)"),
    ],
)
def test_canonical(written: str, spdx: str) -> None:
    assert canonical(written) == spdx


@pytest.mark.parametrize("written", ["", "free", "CC BY 4.0", "MIT AND", "unknown AND MIT"])
def test_what_is_no_licence_is_refused_in_one_line(written: str) -> None:
    with pytest.raises(ValueError, match="expected an SPDX expression") as caught:
        canonical(written)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("licence", "allow", "fine"),
    [
        ("MIT", ["MIT"], True),
        ("MIT", ["CC0-1.0"], False),
        ("unknown", ["MIT"], False),
        ("unknown", ["unknown"], True),
        ("MIT AND CC0-1.0", ["MIT"], False),
        ("MIT AND CC0-1.0", ["MIT", "CC0-1.0"], True),
        ("MIT OR CC0-1.0", ["MIT"], True),
        ("MIT AND (CC0-1.0 OR Apache-2.0)", ["MIT", "Apache-2.0"], True),
        ("MIT AND (CC0-1.0 OR Apache-2.0)", ["CC0-1.0", "Apache-2.0"], False),
        ("MIT AND CC0-1.0 OR Apache-2.0", ["Apache-2.0"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
    ],
)
def test_allowed(licence: str, allow: list[str], fine: bool) -> None:
    assert allowed(canonical(licence), allow) is fine


def expressions() -> st.SearchStrategy[str]:
    def joined(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.builds(lambda a, word, b: f"({a} {word} {b})", parts, st.sampled_from(["AND", "OR"]), parts)

    return st.recursive(st.sampled_from(IDS), joined, max_leaves=8)


@given(expressions(), st.sets(st.sampled_from(IDS)))
def test_allowed_is_the_logic_of_the_expression(expression: str, allow: set[str]) -> None:
    words = expression.replace("(", " ( ").replace(")", " ) ").split()
    truth = {"AND": "and", "OR": "or", "(": "(", ")": ")"}
    wanted = eval(" ".join(truth.get(word, str(word in allow)) for word in words))
    assert allowed(canonical(expression), sorted(allow)) is wanted


def test_params_name_the_domain_that_is_refused() -> None:
    roles = {"a": "train", "b": "held_out"}
    assert validate(Params, {"domains": roles}, "params.yaml").allow_licences == "all"
    params = validate(Params, {"domains": roles, "allow_licences": ["mit", "cc0-1.0"]}, "params.yaml")
    params.require_allowed("a", "MIT", Path("params.yaml"))
    with pytest.raises(ValueError, match=r"params\.yaml: allow_licences: domain 'a' has the licence unknown, .*MIT, CC0-1\.0"):
        params.require_allowed("a", "unknown", Path("params.yaml"))


@pytest.mark.parametrize("value", ["any", [], ["free"], [3], {"MIT": True}])
def test_allow_licences_that_make_no_sense(value: object) -> None:
    with pytest.raises(ValueError, match=r"params\.yaml: allow_licences: expected"):
        validate(Params, {"domains": {"a": "train", "b": "held_out"}, "allow_licences": value}, "params.yaml")
