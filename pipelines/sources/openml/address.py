"""Which OpenML server is asked, and with which key: the environment's OPENML_SERVER and OPENML_APIKEY."""

import os
import re
from typing import Any
from urllib.parse import urlsplit

from pipelines.secrets import redact

OFFICIAL = "https://www.openml.org/api/v1/xml"
SERVER, API_KEY = "OPENML_SERVER", "OPENML_APIKEY"


def server_of(options: dict[str, Any]) -> str:
    """The server's API: of the card, else of the environment, else OpenML's own. Raises ValueError unless https or loopback."""
    name = "source.options.server" if "server" in options else SERVER
    given = options["server"] if "server" in options else os.environ.get(SERVER) or OFFICIAL
    try:
        parts = urlsplit(str(given))
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    local = host in ("localhost", "127.0.0.1", "::1")
    if not host or parts.scheme not in ("https", *(["http"] if local else [])) or "@" in parts.netloc or parts.query:
        raise ValueError(f"{name}: expected an https: URL without user or query, found {redact(str(given))!r}")
    path = parts.path.rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if '/api/' in path else path + '/api/v1/xml'}"


def key_for(server: str) -> str:
    """The user's API key, for OpenML and for the server that the user's environment names; a card names no one to trust."""
    host = urlsplit(server).hostname or ""
    own = re.fullmatch(r"(?:.+\.)?openml\.org", host) and server.startswith("https:")
    chosen = bool(os.environ.get(SERVER)) and server == server_of({})
    return os.environ.get(API_KEY, "") if own or chosen else ""
