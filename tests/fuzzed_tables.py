"""Archives whose classes stand in a table, with odd and damaged tables."""

import json
from random import Random
from typing import Any

from fuzzed_bytes import damaged
from fuzzed_pictures import whole

from pipelines.cards import Label

WORDS = (
    *(
        "",
        " ",
        "a",
        "A",
        "\u00e4",
        "a\u0308",
        "x" * 300,
        "a,b",
        'a"b',
        "a\nb",
        "a\tb",
        "a\0b",
        "\u202e",
        "\ufeff",
        "../../evil.png",
    ),
    *("/evil.png", "C:\\evil.png", "null", "None", "NaN", "0", "-1", "1e400", "9" * 5000, "=1+1", "${HOME}", "a#2", "class0"),
    *(".hidden.png", "\U0001f600", "%00", "images/0.png", "./0.png", "0.PNG"),
)
VALUES: tuple[Any, ...] = (None, True, 0, -1, 1.5, 1e400, 10**400, [], [[]], {}, {"a": 1}, "class0", "\ud800", "")
HEADS = (["FILE_NAME", "CATEGORY", "N"], ["FILE_NAME", "CATEGORY", "N"], ["image", "label", "n"], ["id", "species", "split"])
INFO = {
    "dataset_name": "pebbles", "image_column_name": "FILE_NAME", "category_column_name": "CATEGORY", "total_categories": 2,
    "dataset_description": "Pebbles.", "has_super_categories": False, "images_per_category": 3,
}  # fmt: skip


def table_case(rng: Random) -> tuple[dict[str, bytes], Label]:
    """Members of an archive with a label table, and the label section of its card."""
    files: list[tuple[str, bytes]] = []
    for number in range(rng.randrange(4, 9)):
        suffix, data = whole(rng)
        files.append((f"{number}.{suffix}", data))
    rows = [[name, f"class{number % 2}", str(number)] for number, (name, _) in enumerate(files)]
    if rng.random() < 0.6:
        _spice_rows(rng, rows)
    name, content = _table(rng, rows)
    if rng.random() < 0.5:
        content = damaged(rng, content)
    folder = rng.choice(("images/", "images/", "", "data/images/", "deep/er/"))
    members = {f"{folder}{name}": data for name, data in files}
    members[rng.choice(("", "", "data/")) + name] = content
    if rng.random() < 0.5:
        members["info.json"] = _info(rng)
    if rng.random() < 0.1:
        members["data/labels.csv"] = content
    return members, _label(rng, name)


def _spice_rows(rng: Random, rows: list[list[str]]) -> None:
    for _ in range(rng.randrange(1, 5)):
        row = rng.choice(rows)
        way = rng.randrange(5)
        if way == 0 and row:
            row[rng.randrange(len(row))] = rng.choice(WORDS)
        elif way == 1:
            rows.append(list(row))
        elif way == 2:
            row.append(rng.choice(WORDS))
        elif way == 3 and row:
            row.pop()
        else:
            rows.insert(rng.randrange(len(rows)), [rng.choice(WORDS), "class1", "0"])


def _table(rng: Random, rows: list[list[str]]) -> tuple[str, bytes]:
    heads = list(rng.choice(HEADS))
    if rng.random() < 0.1:
        heads[rng.randrange(3)] = rng.choice((*WORDS, heads[0]))
    kind = rng.choice(("labels.csv", "labels.csv", "labels.csv", "train.tsv", "metadata.jsonl", "annotations.csv"))
    if kind.endswith("jsonl"):
        objects: list[dict[str, Any]] = [dict(zip(heads, [*row, *[None] * 3], strict=False)) for row in rows]
        for _ in range(rng.randrange(4)):
            rng.choice(objects)[rng.choice(heads)] = rng.choice(VALUES)
        lines = [json.dumps(line) for line in objects]
        if rng.random() < 0.1:
            lines[rng.randrange(len(lines))] = rng.choice(("[" * 100_000, "[]", "1", '{"a":' * 5000, "9" * 5000))
        return kind, "\n".join(lines).encode()
    sign = "\t" if kind.endswith("tsv") else rng.choice((",", ",", ";"))
    quote = rng.random() < 0.8
    lines = [sign.join(_quoted(cell, sign) if quote else cell for cell in row) for row in [heads, *rows]]
    text = rng.choice(("\n", "\r\n", "\r")).join(lines)
    return kind, text.encode(rng.choice(("utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1")), "replace")


def _quoted(cell: str, sign: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(mark in cell for mark in (sign, '"', "\n", "\r")) else cell


def _info(rng: Random) -> bytes:
    info: dict[str, object] = dict(INFO)
    for _ in range(rng.randrange(3)):
        info[rng.choice(list(info))] = rng.choice((*VALUES, *WORDS))
    data = json.dumps(info).encode()
    return damaged(rng, data) if rng.random() < 0.4 else rng.choice((data, data, b"[" * 100_000, b"[]", b"", b"\xff"))


def _label(rng: Random, table: str) -> Label:
    return rng.choice(
        (
            Label(),
            Label(),
            Label(layout="meta_album"),
            Label(layout="folders"),
            Label(layout="table", table=table),
            Label(layout="table", table=table, image_column="image", column="label"),
            Label(layout="table", column=rng.choice(WORDS) or "a"),
            Label(layout="meta_album", column="CATEGORY", image_column="FILE_NAME"),
        )
    )
