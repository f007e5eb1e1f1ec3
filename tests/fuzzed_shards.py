"""WebDataset shards, odd and damaged: samples of a picture, a class and JSON, under names that split at their first dot."""

import io
import json
import tarfile
from random import Random

from fuzzed_archives import PACKINGS, lying_tar, packed
from fuzzed_bytes import damaged
from fuzzed_pictures import broken, whole
from fuzzed_tables import VALUES, WORDS

from pipelines.cards import Label


def shard_case(rng: Random) -> tuple[bytes, Label]:
    """The bytes of a shard, and the label section of its card."""
    members: list[tuple[str, bytes]] = []
    for number in range(rng.randrange(4, 9)):
        members += _sample(rng, number)
    for _ in range(rng.choice((0, 0, 1, 3))):
        name = rng.choice((*WORDS, "0.cls", "0", ".cls", "a/0.png", "0.seg.png", "__key__", "0.json", "../0.png"))
        members.insert(rng.randrange(len(members) + 1), (name, rng.choice((b"", b"1", b"\xff", whole(rng)[1]))))
    if rng.random() < 0.1:
        rng.shuffle(members)
    data = _tar(members)
    if rng.random() < 0.3:
        data = lying_tar(rng, data)
    if rng.random() < 0.2:
        data = damaged(rng, data)
    data = packed(data, rng.choice(PACKINGS[:2]) if rng.random() < 0.3 else "")
    column = rng.choice((None, None, "cls", "txt", "json:label", "json:a.b", rng.choice(WORDS)))
    return damaged(rng, data) if rng.random() < 0.2 else data, Label(column=column)


def _sample(rng: Random, number: int) -> list[tuple[str, bytes]]:
    suffix, data = broken(rng) if rng.random() < 0.3 else whole(rng)
    facts: dict[str, object] = {"label": number % 2, "a": {"b": f"class{number % 2}"}}
    label = str(number % 2).encode()
    way = rng.random()
    if way < 0.15:
        facts["label"] = rng.choice((*VALUES, *WORDS))
    elif way < 0.3:
        label = rng.choice((b"", b"\xff", b"a\nb", b"9" * 5000, b" 1 ", b"\0", "\u202e".encode(), b"nan"))
    text = json.dumps(facts).encode()
    if rng.random() < 0.1:
        text = rng.choice(
            (damaged(rng, text), b"[" * 100_000, b"[]", b"", b'{"label": 1e999}', b'{"label": ' + b"9" * 5000 + b"}")
        )
    sample = [(f"{number:04d}.{suffix}", data), (f"{number:04d}.cls", label), (f"{number:04d}.json", text)]
    return sample if rng.random() < 0.9 else rng.sample(sample, rng.randrange(1, 4))


def _tar(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()
