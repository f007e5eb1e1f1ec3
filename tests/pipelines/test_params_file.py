"""params.yaml is edited as its owner would: one line more, or one word, and every other byte as it was."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pipelines.add.params_file import list_domain, with_domain
from pipelines.params import load_params

ROOT = Path(__file__).resolve().parents[2]
ROLES = st.sampled_from(["train", "held_out", "spare"])
NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,12}", fullmatch=True).filter(lambda name: name not in ("mean", "manifest", "overlap"))
COMMENTS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "Zs"]), max_size=20)


@st.composite
def files(draw: st.DrawFn) -> tuple[str, dict[str, str]]:
    """A params.yaml as people write them, and its domains."""
    names = draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    roles = ["train", "held_out", *draw(st.lists(ROLES, min_size=len(names) - 2, max_size=len(names) - 2))]
    indent, end = " " * draw(st.integers(1, 4)), draw(st.sampled_from(["\n", "\r\n"]))
    width = max(map(len, names)) if draw(st.booleans()) else 0
    lines = [f"# {draw(COMMENTS)}", "", "domains:" + draw(st.sampled_from(["", "   # one a line"]))]
    for name, role in zip(names, roles, strict=True):
        if draw(st.booleans()):
            lines.append(draw(st.sampled_from(["", f"{indent}# between", "# at the margin"])))
        quote = draw(st.sampled_from(["", "", '"', "'"]))
        lines.append(f"{indent}{name}:{' ' * max(1, width - len(name) + 1)}{quote}{role}{quote}" + draw(_tails()))
    after = draw(st.sampled_from([[], [""], ["", "  # more to come", "sources_folder: ."], ["training:", "  steps: 7  # few"]]))
    if draw(st.booleans()):  # the domains need not come first
        lines = ["curation:", f"{indent}min_side: 20  # px", *lines]
    return end.join(lines + after) + draw(st.sampled_from(["", end])), dict(zip(names, roles, strict=True))


def _tails() -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", " ", "  # never trained on"])


@given(files(), NAMES, ROLES)
def test_one_line_is_added_and_nothing_else_changes(file: tuple[str, dict[str, str]], name: str, role: str) -> None:
    text, domains = file
    if name in domains:
        return
    changed = with_domain(text, name, role, "params.yaml")  # type: ignore[arg-type]
    before, after = ([line.rstrip("\r") for line in whole.split("\n")] for whole in (text, changed))
    added = [at for at, line in enumerate(after) if line.strip().startswith(f"{name}:")]
    assert len(added) == 1
    assert after[: added[0]] + after[added[0] + 1 :] == before
    old, new = yaml.safe_load(text), yaml.safe_load(changed)
    assert new == old | {"domains": old["domains"] | {name: role}}
    assert list(new["domains"])[-1] == name
    assert changed.count("\n") == text.count("\n") + 1
    assert changed.count("\r\n") in (0, changed.count("\n"))
    assert changed.endswith("\n") == text.endswith("\n")


@given(files(), st.data())
def test_a_role_is_one_word(file: tuple[str, dict[str, str]], data: st.DataObject) -> None:
    text, domains = file
    name = data.draw(st.sampled_from(list(domains)))
    role = data.draw(ROLES)
    if role == domains[name]:
        assert with_domain(text, name, role, "params.yaml") == text
        return
    with pytest.raises(ValueError, match=f"{name} is listed as {domains[name]} already; --force makes it {role}"):
        with_domain(text, name, role, "params.yaml")
    left = {**domains, name: role}.values()
    if not {"train", "held_out"} <= set(left):
        with pytest.raises(ValueError, match="expected at least one domain with the role"):
            with_domain(text, name, role, "params.yaml", replace=True)
        return
    changed = with_domain(text, name, role, "params.yaml", replace=True)
    differ = [at for at, pair in enumerate(zip(text.split("\n"), changed.split("\n"), strict=True)) if pair[0] != pair[1]]
    assert len(differ) == 1
    assert yaml.safe_load(changed)["domains"] == domains | {name: role}


def test_roles_below_each_other_stay_so() -> None:
    text = "domains:\n  pebbles:  train\n  sea:      held_out   # wet\n"
    assert with_domain(text, "cups", "spare", "p") == text + "  cups:     spare\n"
    assert with_domain(text, "a_very_long_name", "spare", "p") == text + "  a_very_long_name: spare\n"


def test_the_project_s_own_panels_can_be_edited() -> None:
    for path in (ROOT / "params.yaml", *(ROOT / "presets").glob("*.yaml")):
        text = path.read_bytes().decode()
        changed = with_domain(text, "pebbles", "spare", str(path))
        assert changed.replace("  pebbles: spare\n", "") == text


@pytest.mark.parametrize(
    "text",
    [
        "domains: {a: train, b: held_out}\n",
        "domains:\n  a: train\n  b:\n    held_out\n",
        "domains: &all\n  ? a\n  : train\n  b: held_out\n",
        "x: &r train\n",
        "domains:\n",
        "- domains\n",
        "",
    ],
)
def test_other_forms_are_left_to_their_owner(text: str) -> None:
    with pytest.raises(ValueError, match="write the new one by hand"):
        with_domain(text, "pebbles", "train", "params.yaml")


@pytest.mark.parametrize(
    "text", ["domains:\n  a: train\n  a: held_out\n", "domains:\n  a: &r train\n  b: held_out\n  c: *r\n", "domains:\n  a: [\n"]
)
def test_what_cannot_be_changed_safely_is_not_changed(text: str) -> None:
    with pytest.raises(ValueError, match=r"by hand|mend it first"):
        with_domain(text, "a", "spare", "params.yaml", replace=True)


def test_the_file_is_replaced_whole_or_not(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_bytes(b"domains:\r\n  a: train # \xc3\xa4\r\n  b: held_out")
    assert list_domain(path, "c", "spare")
    assert path.read_bytes() == b"domains:\r\n  a: train # \xc3\xa4\r\n  b: held_out\r\n  c: spare"
    assert not list_domain(path, "c", "spare")
    assert load_params(path).in_role("spare") == ["c"]
    kept = path.read_bytes()
    for name, role in (("mean", "train"), ("Not a name", "train"), ("a", "spare")):
        with pytest.raises(ValueError, match=r"params\.yaml"):
            list_domain(path, name, role)  # type: ignore[arg-type]
        assert path.read_bytes() == kept
    assert [each.name for each in tmp_path.iterdir()] == ["params.yaml"]
    with pytest.raises(ValueError, match="no such file"):
        list_domain(tmp_path / "other.yaml", "a", "train")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="expected UTF-8"):
        list_domain(path, "a", "train")
