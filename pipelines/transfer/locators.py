"""What a card's locator says: its scheme, the name that its download gets, and the form in which it may be shown."""

import hashlib
import re
from urllib.parse import SplitResult, urlsplit, urlunsplit


def scheme_of(locator: str) -> str:
    """`http`, `file` and so on; empty for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://|(file):", locator, re.IGNORECASE)
    return (found[1] or found[2]).lower() if found else ""


def is_remote(locator: str) -> bool:
    """Whether the locator is an http(s) URL."""
    return scheme_of(locator) in ("http", "https")


def check_locator(locator: str) -> None:
    """Raise ValueError unless the locator is a path or a well-formed `file:`, `http:` or `https:` URL."""
    scheme = scheme_of(locator)
    if scheme not in ("", "file", "http", "https"):
        raise ValueError(f"source.locator: expected a path or a file:, http: or https: URL, found {shown(locator)!r}")
    if is_remote(locator):
        parts = _split(locator)
        if parts is None or not parts.hostname:
            raise ValueError(f"source.locator: malformed URL {shown(locator)!r}")


def shown(locator: str) -> str:
    """The locator as it may be shown: no user, no password, no query (signed URLs carry their secret there)."""
    if not scheme_of(locator):
        return locator
    parts = _split(locator)
    if parts is None:
        return f"{scheme_of(locator)}://..."
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def download_name(locator: str) -> str:
    """File name of a download: 12 digits that tell equal names apart, then the name at the server."""
    parts = urlsplit(locator)
    identity = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, parts.query, ""))
    name = re.sub(r"[^A-Za-z0-9._-]", "_", parts.path.rpartition("/")[2])[-80:]
    return f"{hashlib.sha256(identity.encode()).hexdigest()[:12]}-{name or 'download'}"


def _split(locator: str) -> SplitResult | None:
    try:
        parts = urlsplit(locator)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts
