"""Editing params.yaml as its owner would: one line is added or one word changed, and all else stays, comments and order too."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

from pipelines.files import write_bytes
from pipelines.params import Params, Role
from pipelines.settings import validate


class Entry(NamedTuple):
    """A line of `domains:`, with the place of its role in the text and the columns of both."""

    name: str
    role: str
    place: slice
    key_column: int
    role_column: int


def list_domain(path: Path, name: str, role: Role, *, replace: bool = False) -> bool:
    """List a domain at the end of the `domains:` of params.yaml; returns whether the file had to change.

    Raises ValueError as `with_domain`; the file is replaced as a whole or not at all.
    """
    text = read_text(path)
    changed = with_domain(text, name, role, str(path), replace=replace)
    if changed != text:
        write_bytes(path, changed.encode())
    return changed != text


def read_text(path: Path) -> str:
    """The file as it is, line ends and all. Raises ValueError if it is missing or not UTF-8."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: expected UTF-8 text") from None


def with_domain(text: str, name: str, role: Role, where: str, *, replace: bool = False) -> str:
    """The text of params.yaml with `name` in this role: a new last line of `domains:`, or the role of its line changed.

    Raises ValueError (one line, with `where`) if the domain has another role and `replace` is not set, if `domains:` is
    written in a form other than a line a domain, or if what comes out would not be valid.
    """
    entries = _entries(text, where)
    present = next((entry for entry in entries if entry.name == name), None)
    if present is None:
        changed = _append(text, entries, name, role)
    elif present.role == role:
        return text
    elif replace:
        changed = text[: present.place.start] + role + text[present.place.stop :]
    else:
        raise ValueError(f"{where}: domains: {name} is listed as {present.role} already; --force makes it {role}")
    _verify(text, changed, name, role, where)
    return changed


def _append(text: str, entries: list[Entry], name: str, role: Role) -> str:
    last = entries[-1]
    end = re.compile(r"\r?\n|\Z").search(text, last.place.stop)
    assert end is not None
    line_end = end[0] or ("\r\n" if "\r\n" in text else "\n")
    gap = " "
    columns = {entry.role_column for entry in entries}
    if len(columns) == 1 and len({len(entry.name) for entry in entries}) > 1:  # roles stand below each other
        gap = " " * max(1, columns.pop() - last.key_column - len(name) - 1)
    return f"{text[: end.start()]}{line_end}{' ' * last.key_column}{name}:{gap}{role}{text[end.start() :]}"


def _entries(text: str, where: str) -> list[Entry]:
    """The lines of `domains:`. Raises ValueError if it is no YAML, or not in the form of a line a domain."""
    by_hand = ValueError(f"{where}: domains: expected a line a domain, `  name: train`; write the new one by hand")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        raise ValueError(f"{where}: not valid YAML; mend it first") from None
    found = [value for key, value in root.value if key.value == "domains"] if isinstance(root, yaml.MappingNode) else []
    block = found[0] if found else None
    if not isinstance(block, yaml.MappingNode) or block.flow_style or not block.value:
        raise by_hand
    entries = []
    for key, value in block.value:
        plain = isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)
        one_line = key.start_mark.line == value.start_mark.line == value.end_mark.line
        before = text[: key.start_mark.index].rpartition("\n")[2]
        if not plain or not one_line or before.strip(" "):
            raise by_hand
        place = slice(value.start_mark.index, value.end_mark.index)
        entries.append(Entry(key.value, value.value, place, key.start_mark.column, value.start_mark.column))
    return entries


def _verify(before: str, after: str, name: str, role: Role, where: str) -> None:
    """Raise ValueError unless the only difference is the domain, and the whole is valid."""
    by_hand = ValueError(f"{where}: domains: cannot be edited safely; write `{name}: {role}` there by hand")
    try:
        old, new = yaml.safe_load(before), yaml.safe_load(after)
    except (yaml.YAMLError, ValueError):
        raise by_hand from None
    wanted = old | {"domains": old["domains"] | {name: role}}
    if new != wanted or list(new["domains"]) != list(wanted["domains"]):
        raise by_hand
    validate(Params, new, where)
