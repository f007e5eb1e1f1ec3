"""What a card's locator says: its scheme, the name that its download gets, and the form in which it may be shown."""

import hashlib
import re
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit
from urllib.request import url2pathname

from pipelines.secret_shapes import SECRET_QUERY
from pipelines.secrets import NAMED, STRUCK, strike, strike_known, unfill

SCHEMES = ("file", "http", "https", "s3")


def scheme_of(locator: str) -> str:
    """`http`, `file`, `s3` and so on; empty for a path."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+):", locator)
    return found[1].lower() if found else ""


def is_remote(locator: str) -> bool:
    """Whether the locator is fetched over the network."""
    return scheme_of(locator) in ("http", "https", "s3")


def is_object(locator: str) -> bool:
    """Whether the locator names an object of an object store, which `objects.py` fetches."""
    return scheme_of(locator) == "s3"


def check_locator(locator: str) -> None:
    """Raise ValueError unless the locator is a path or a well-formed URL of a known scheme that holds no secret.

    It is the card's locator, before `secrets.fill`: a secret stands in it as `${NAME}`.
    """
    scheme = scheme_of(locator)
    if not locator.isprintable():
        raise ValueError(f"source.locator: holds a control character, found {locator!a}")
    if scheme and scheme not in SCHEMES:
        raise ValueError(
            f"source.locator: expected a path or a file:, http:, https: or s3: URL, found {shown(locator)!r}; "
            f"{scheme}: is not read here (a path that begins so is written ./{scheme}:...)"
        )
    if is_remote(locator):
        parts = _split(locator)
        if parts is None or not parts.hostname or not locator[len(scheme) :].startswith("://"):
            raise ValueError(f"source.locator: malformed URL {shown(locator)!r}")
        if scheme == "s3" and not parts.path.strip("/"):
            raise ValueError(f"source.locator: expected s3://BUCKET/KEY, found {shown(locator)!r}")
        _check_secrets(locator, parts)
        if scheme == "s3" and parts.query and not re.fullmatch("versionId=[^&;?]+", parts.query):
            raise ValueError(f"source.locator: of queries, s3: takes ?versionId=ID alone, found {shown(locator)!r}")


def _check_secrets(locator: str, parts: SplitResult) -> None:
    where = f"source.locator: {shown(locator)!r}"
    if "@" in parts.netloc:
        place = "the environment or ~/.aws/credentials" if parts.scheme == "s3" else "~/.netrc (a token: ${NAME} in the query)"
        raise ValueError(f"{where} holds a user or password; put it into {place}")
    for piece in re.split("[&;?]", parts.query):
        name, value = map(unquote, piece.partition("=")[::2])
        if SECRET_QUERY.search(name) and value and not NAMED.fullmatch(value):
            raise ValueError(f"{where} holds a secret in its query; write {name}=${{NAME}} and set that environment variable")
        inner = _split(value) if "://" in value else None
        if inner is not None:
            _check_secrets(locator, inner)


def shown(locator: str) -> str:
    """The locator as it may be shown and as locks name it: no user, no password, no secret in the query, no fragment.

    It is the same before and after `secrets.fill` (but for values of less than 6 characters), and two that differ in any
    other part of the query stay apart.
    """
    scheme = scheme_of(locator)
    if not scheme:
        return strike_known(unfill(locator))
    parts = _split(strike(unfill(locator)))
    if parts is None:
        return f"{scheme}://..."
    query = "".join(_shown_piece(piece) for piece in re.split("([&;?])", parts.query))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _shown_piece(piece: str) -> str:
    name, equals, value = piece.partition("=")
    if SECRET_QUERY.search(unquote(name)) and value and not NAMED.fullmatch(value):
        return f"{name}={STRUCK}"
    inner = unquote(value)
    return f"{name}={shown(inner)}" if "://" in inner and shown(inner) != inner else name + equals + value


def download_name(locator: str) -> str:
    """File name of a download: 12 digits that tell equal names apart, then the name at the server. No secret is in it."""
    name = re.sub(r"[^A-Za-z0-9._-]", "_", _path(shown(locator)).rpartition("/")[2])[-80:]
    return f"{hashlib.sha256(shown(locator).encode()).hexdigest()[:12]}-{name or 'download'}"


def _path(url: str) -> str:
    parts = _split(url)
    return parts.path if parts else ""


def _split(locator: str) -> SplitResult | None:
    try:
        parts = urlsplit(locator, allow_fragments=scheme_of(locator) != "s3")  # `#` may be in a key
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


def path_of(locator: str, folder: Path) -> Path:
    """Where a path (from `folder`) or a `file:` URL points to. Raises ValueError if the URL names another machine."""
    if scheme_of(locator) != "file":
        return folder / locator
    parts = urlsplit(locator)
    if parts.netloc not in ("", "localhost"):
        raise ValueError(f"source.locator: a file: URL cannot name another machine, found {shown(locator)!r}")
    return folder / url2pathname(parts.path)
