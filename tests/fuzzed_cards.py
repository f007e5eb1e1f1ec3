"""Cards, damaged in their bytes and in their structure."""

from random import Random
from typing import Any

import yaml
from fuzzed_bytes import damaged

CARD: dict[str, Any] = {
    "id": "pebbles",
    "title": "Pebbles of five beaches",
    "domain": "stones",
    "description": "Photographs of single pebbles.",
    "licence": "CC-BY-4.0",
    "citation": "A. Author, 2020",
    "homepage": "https://example.org/pebbles",
    "counts": {"classes": 5, "images": 100},
    "source": {
        "kind": "archive",
        "locator": "pebbles.zip",
        "checksum": "sha256:" + "0" * 64,
        "label": {"layout": "table", "table": "labels.csv", "image_column": "file", "column": "class"},
        "options": {},
    },
    "curation": {"min_side": 16, "min_per_class": 5, "near_duplicates": False},
}
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 10**30, 1.5, float("nan"), float("inf"), "", " ", "a\nb", "\0", "x" * 10_000, [], {}, [[]], {1: 2}),
    *({"a": {"b": [1]}}, "archive", "folder", "huggingface", "openml", "webdataset", "urls", "generated", "pipe:true"),
    *("https://u:p@h/x", "https://h/x?token=a", "https://[::1/x", "${HOME}", "s3://b/k", "hf://a", "../../etc/passwd"),
    *("\u202e\ud7ff", "MIT OR", "(MIT", "MIT AND (" * 500, "unknown", "train-{000..999999999}.tar", "{a,{b}}", "d/61"),
    *("name/repo", "folders", "meta_album", "cls", "json:a.b"),
)
LAUGHS = "".join(f"b{i}: &b{i} [{', '.join(['*b' + str(i - 1) if i else '*a'] * 10)}]\n" for i in range(9))
TEXTS = (
    "a: &a [*a]\n",
    "source: !!python/object/apply:os.system ['touch evil']\n",
    "id: !!binary '//8='\n",
    "id: 2001-99-99\n",
    "id: 0b\n",
    "id: 1:99:9\n",
    "? [a]\n: b\n",
    "? {a: b}\n: c\n",
    "<<: [1]\n",
    "source: {<<: {kind: archive}, locator: x}\n",
    "--- a\n--- b\n",
    "%YAML 9.9\n---\nid: a\n",
    "a: *b\n",
    "[" * 5000,
    "{a: " * 5000,
    "- " * 5000,
    'id: "\\ud800"\n',
    "\tid: a\n",
    "a: &a " + "x" * 100 + "\n" + LAUGHS,
    "a: &a " + "x" * 100 + "\n" + LAUGHS + "title: *b8\n",
    "a: &a [x]\n" + LAUGHS + "? *b8\n: a\n",
    "id: " + "9" * 5000 + "\n",
)


def card_case(rng: Random) -> bytes:
    """The bytes of a card."""
    way = rng.random()
    if way < 0.12:
        extra = rng.choice(TEXTS).encode("utf-8", "surrogatepass")
        return extra if rng.random() < 0.5 else yaml.safe_dump(CARD).encode() + extra
    if way < 0.16:
        bomb = "a: &a [x, x]\n" + LAUGHS
        options = "  options:\n" + "".join(f"    {line}\n" for line in bomb.splitlines())
        card = yaml.safe_dump({name: value for name, value in CARD.items() if name != "source"})
        return (card + "source:\n  kind: archive\n  locator: pebbles.zip\n" + options).encode()
    if way < 0.5:
        return damaged(rng, yaml.safe_dump(CARD, sort_keys=False).encode())
    card = _copy(CARD)
    for _ in range(rng.choice((1, 1, 2, 4))):
        _change(rng, card)
    return yaml.safe_dump(card, allow_unicode=rng.random() < 0.5).encode("utf-8", "replace")


def _copy(value: Any) -> Any:
    return {name: _copy(inner) for name, inner in value.items()} if isinstance(value, dict) else value


def _change(rng: Random, card: dict[Any, Any]) -> None:
    """Change one field, at any depth."""
    inner = [value for value in card.values() if isinstance(value, dict) and value]
    if inner and rng.random() < 0.6:
        return _change(rng, rng.choice(inner))
    names = list(card)
    way = rng.randrange(4)
    if way == 0 and names:
        del card[rng.choice(names)]
    elif way == 1:
        card[rng.choice((*VALUES[:2], "extra", "kind", "id", 3))] = rng.choice(VALUES)
    elif names:
        card[rng.choice(names)] = _copy(rng.choice(VALUES))
    return None
