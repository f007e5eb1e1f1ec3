"""Licences: SPDX expressions, `LicenseRef-...` for licences without an SPDX id, and `unknown`, a value of its own."""

import re
from collections.abc import Sequence

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

UNKNOWN = "unknown"


def canonical(licence: str) -> str:
    """The licence as SPDX writes it. Raises ValueError if it is neither an SPDX expression nor `unknown`."""
    text = licence.strip()
    if text.lower() == UNKNOWN:
        return UNKNOWN
    try:
        return str(canonicalize_license_expression(text))
    except (InvalidLicenseExpression, RecursionError, MemoryError):  # the latter two of nested brackets
        raise ValueError(
            f"expected an SPDX expression (spdx.org/licenses; LicenseRef-NAME for one without an id) or {UNKNOWN!r}, "
            f"found {licence[:100]!r}"
        ) from None


def allowed(licence: str, allow: Sequence[str] | None) -> bool:
    """Whether a canonical licence may be used where `allow` lists canonical licences (None: every one).

    Of `A AND B` both must be listed, of `A OR B` one; an exception (`A WITH E`) is listed as a whole. An expression that is
    listed itself is allowed.
    """
    if allow is None or licence in allow:
        return True
    words = re.findall(r"\(|\)|[^\s()]+", licence)
    return _either(words, frozenset(allow)) if len(words) > 1 else False


def _either(words: list[str], allow: frozenset[str]) -> bool:
    """Consumes an OR of ANDs from the front of `words`."""
    found = _both(words, allow)
    while words and words[0] == "OR":
        words.pop(0)
        found = _both(words, allow) or found
    return found


def _both(words: list[str], allow: frozenset[str]) -> bool:
    found = _one(words, allow)
    while words and words[0] == "AND":
        words.pop(0)
        found = _one(words, allow) and found
    return found


def _one(words: list[str], allow: frozenset[str]) -> bool:
    word = words.pop(0)
    if word == "(":
        found = _either(words, allow)
        words.pop(0)
        return found
    if words and words[0] == "WITH":
        word = " ".join((word, words.pop(0), words.pop(0)))
    return word in allow


def identifiers(licence: str) -> list[str]:
    """The licences of an expression in order, each once; an exception stands with its licence, `A WITH E`."""
    return list(dict.fromkeys(re.findall(r"(?<![^\s()])(?!(?:AND|OR)\b)[^\s()]+(?: WITH [^\s()]+)?", licence)))


def unlisted(licence: str, accepted: Sequence[str] = ()) -> bool:
    """Whether it is `unknown` or cannot do without a `LicenseRef-...`: only a reader of its text knows what it allows.

    `accepted` are licences that somebody read.
    """
    read = [name for name in identifiers(licence) if name != UNKNOWN and not name.startswith("LicenseRef-")]
    return not allowed(licence, [*read, *accepted])


def terms(licence: str) -> list[str]:
    """In words, what users of pictures under this licence are easily caught by: nc, nd and sa of Creative Commons."""
    parts = {part for name in identifiers(licence) if name.startswith("CC-") for part in name.split("-")}
    found = {
        "NC": "no commercial use",
        "ND": "no changed copies, while shards hold pictures scaled or coded again",
        "SA": "changed copies only under the same licence",
    }
    return [words for part, words in found.items() if part in parts]
