"""SPDX expressions as the Hugging Face Hub names licences: an id of its list, or `other` with a name and a link.

The list: https://huggingface.co/docs/hub/repositories-licenses.
"""

import re
from collections.abc import Sequence

from pipelines.licences import UNKNOWN

SPDX_LIST = "https://spdx.org/licenses/"
_SAME = (  # of the Hub's ids those that are SPDX's in small letters
    "afl-3.0 apache-2.0 artistic-2.0 bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 cc0-1.0 cc-by-2.0 cc-by-2.5 "
    "cc-by-3.0 cc-by-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nd-4.0 cc-by-nc-nd-3.0 "
    "cc-by-nc-nd-4.0 cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cdla-permissive-1.0 cdla-permissive-2.0 "
    "cdla-sharing-1.0 ecl-2.0 epl-1.0 epl-2.0 etalab-2.0 eupl-1.1 eupl-1.2 isc lppl-1.3c mit mpl-2.0 ms-pl ncsa "
    "ofl-1.1 osl-3.0 postgresql unlicense wtfpl zlib"
)
SAME = frozenset(_SAME.split())
OTHERWISE = {
    "c-uda-1.0": "c-uda",
    "gfdl-1.1": "gfdl",
    "gfdl-1.2": "gfdl",
    "gfdl-1.3": "gfdl",
    "odbl-1.0": "odbl",
    "odc-by-1.0": "odc-by",
    "pddl-1.0": "pddl",
}
VERSIONS = re.compile(r"-(?:only|or-later)$")  # which the Hub does not tell apart
GNU = frozenset({"agpl-3.0", "gpl-2.0", "gpl-3.0", "lgpl-2.1", "lgpl-3.0"})


def hub_id(licence: str) -> str:
    """The Hub's id of a canonical licence; `other` where it has none, as for every compound expression."""
    small = licence.lower()
    bare = VERSIONS.sub("", small)
    if small == UNKNOWN or small in SAME:
        return small
    return bare if bare in GNU else OTHERWISE.get(bare, "other")


def hub_fields(licences: Sequence[str], link: str) -> dict[str, str | list[str]]:
    """`license` of a card for what carries these licences; with `license_name` and `license_link` where one is `other`."""
    different = list(dict.fromkeys(licences))
    ids = sorted({hub_id(licence) for licence in different})
    if "other" not in ids:
        return {"license": ids[0] if len(ids) == 1 else ids}
    name = re.sub(r"[^a-z0-9.]+", "-", different[0].lower()).strip("-") if len(different) == 1 else "one-a-domain"
    return {"license": "other", "license_name": name, "license_link": link}


def address(licence: str) -> str | None:
    """Where the text of a licence stands; None for `unknown`, LicenseRef-... and compound expressions."""
    listed = licence != UNKNOWN and not licence.startswith("LicenseRef-") and " " not in licence
    return f"{SPDX_LIST}{licence}.html" if listed else None
