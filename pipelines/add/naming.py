"""Names out of what a source is called: a domain's id and title, and a licence as SPDX writes it."""

import re
import unicodedata
from collections.abc import Collection

from pipelines.cards import DOMAIN_ID
from pipelines.licences import UNKNOWN, canonical

LONGEST = 40
TAKEN = ("mean", "manifest", "overlap")  # words that tables and files use
SUFFIX = re.compile(
    r"\.(?:zip|tar|tgz|tbz2?|txz|gz|bz2|xz|zst|parquet|arrow|csv|tsv|jsonl|ndjson|json|txt|git|jpe?g|png)$", re.IGNORECASE
)
# words that say nothing of what a path holds
SAYS_NOTHING = frozenset(
    re.findall(
        r"\w+",
        """train training test val validation data dataset datasets image images img imgs picture pictures photos shard shards
        part default raw file files download archive archives refs heads tags main master resolve blob tree v of""",
    )
)
COMMONS = re.compile(r"(?:cc )?by((?: (?:nc|nd|sa))*) ([1-4]\.[05])(?: (?:international|unported|generic))?")
COMMONS_WORDS = {
    "creative commons": "cc",
    "public licen[cs]e": "",
    "licen[cs]e[sd]?": "",
    "attribution": "by",
    "non ?commercial": "nc",
    "share ?alike": "sa",
    "no ?deriv(?:ative)?s?(?: works?)?": "nd",
}
# other names that can mean one licence only, as letters and digits alone
ALSO = {
    "mitlicense": "MIT",
    "mitlicence": "MIT",
    "themitlicense": "MIT",
    "apache2": "Apache-2.0",
    "apachelicense2": "Apache-2.0",
    "apachelicense20": "Apache-2.0",
    "apachelicenseversion20": "Apache-2.0",
    "apachesoftwarelicense20": "Apache-2.0",
    "newbsd": "BSD-3-Clause",
    "modifiedbsd": "BSD-3-Clause",
    "bsd3clauselicense": "BSD-3-Clause",
    "simplifiedbsd": "BSD-2-Clause",
    "bsd2clauselicense": "BSD-2-Clause",
    "cc0": "CC0-1.0",
    "cczero": "CC0-1.0",
    "cc010universal": "CC0-1.0",
    "publicdomaincc0": "CC0-1.0",
    "cc0publicdomain": "CC0-1.0",
    "cc0publicdomaindedication": "CC0-1.0",
    "creativecommonszero": "CC0-1.0",
    "creativecommonszerov10universal": "CC0-1.0",
    "odcby": "ODC-By-1.0",
    "odbl": "ODbL-1.0",
    "opendatabaselicense": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "theunlicense": "Unlicense",
    "silopenfontlicense": "OFL-1.1",
    "silopenfontlicense11": "OFL-1.1",
    "apacheorglicenseslicense20": "Apache-2.0",
    "opensourceorglicensesmit": "MIT",
    "opensourceorglicensemit": "MIT",
    "creativecommonsorgpublicdomainzero10": "CC0-1.0",
    "opendatacommonsorglicensesodbl10": "ODbL-1.0",
    "opendatacommonsorglicensesby10": "ODC-By-1.0",
    "opendatacommonsorglicensespddl10": "PDDL-1.0",
}
NO_LICENCE = {"", "unknown", "other", "none", "na", "null", "notspecified", "unspecified", "seewebsite", "public", "tbd"}


def stem(name: str) -> str:
    """The part of a path, a URL or a hub id that says what it holds: its last one, but for words such as `data` or `train`."""
    words = [_bare(part) for part in re.split(r"[/\\]+", name) if part not in ("", ".", "..")]
    telling = [word for word in words if not SAYS_NOTHING.issuperset(re.findall(r"[^\W\d_]+", word.lower()))]
    return (telling or [word for word in words if word] or ["domain"])[-1]


def domain_id(name: str, used: Collection[str] = ()) -> str:
    """An id made of `name`: a-z, 0-9 and _, a letter first, none of `used`."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "domain"
    slug = slug if slug[0].isalpha() else f"set_{slug}"
    slug = slug[:LONGEST].rstrip("_")
    avoid = {*used, *TAKEN}
    number, made = 1, slug
    while made in avoid:
        number += 1
        tail = f"_{number}"
        made = slug[: LONGEST - len(tail)].rstrip("_") + tail
    assert DOMAIN_ID.fullmatch(made), made
    return made


def title_of(name: str) -> str:
    """A title made of `name`: its words, the first with a capital."""
    words = re.sub(r"[_\W]+", " ", name).strip() or name
    return words[:1].upper() + words[1:]


def spdx(text: str) -> str | None:
    """The licence that `text` names, as SPDX writes it; None where that is not certain."""
    words = " ".join(text.split())
    address = re.sub(r"^https?://(?:www\.)?", "", words.lower()).rstrip("/")
    address = re.sub(r"\.(?:html|txt|php)$", "", address)
    plain = re.sub(r"^spdx\.org/licenses/", "", address)
    known = ALSO.get(re.sub(r"[^a-z0-9]", "", address)) or _commons(address) or ""
    for form in (words, words.replace(" ", "-"), plain, known):
        try:
            return canonical(form)
        except ValueError:
            continue
    return None


def licence_of_source(text: str) -> tuple[str, str | None]:
    """The licence as a card has it, for what a source says of its licence; and what is to be said where that is not certain."""
    certain = spdx(text)
    if certain is not None:
        return certain, None
    name = re.sub(r"[^A-Za-z0-9.]+", "-", unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()).strip("-.")
    if re.sub(r"[^a-z0-9]", "", text.lower()) in NO_LICENCE or not name:
        return UNKNOWN, f"its source says {text!r}, which names none" if text.strip() else None
    made = canonical(f"LicenseRef-{name[:60].rstrip('-.')}")
    return made, f"its source says {' '.join(text.split())[:80]!r}, which is no SPDX licence for certain"


def _bare(part: str) -> str:
    """A part of a path without suffixes, and without what a pattern leaves open."""
    part = re.sub(r"\{[^}]*\}|\[[^\]]*\]|[*?]", "", part)
    while SUFFIX.search(part):
        part = SUFFIX.sub("", part)
    return part.strip(" -_.")


def _commons(text: str) -> str | None:
    """A Creative Commons licence with its version, in words or as an address."""
    text = re.sub(r"^creativecommons\.org/licenses/", "cc ", re.sub(r"/(?:deed|legalcode)(?:\.[\w-]+)?$", "", text))
    text = re.sub(r"\((?:cc )?by[^)]*\)", "", re.sub(r"[-_/,:]+", " ", text))
    for word, short in COMMONS_WORDS.items():
        text = re.sub(rf"\b{word}\b", short, text)
    text = re.sub(r"\bv(?:ersion)? ?(?=[1-4]\.)", "", text)
    found = COMMONS.fullmatch(" ".join(text.split()))
    if found is None:
        return None
    named = set(found[1].split())
    return "-".join(["CC-BY", *(part.upper() for part in ("nc", "nd", "sa") if part in named), found[2]])
