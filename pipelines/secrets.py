"""Secrets: taken from the environment, used in requests alone, and struck out of everything that is shown or written.

A locator may say `${NAME}` where a secret stands; cards, logs and messages keep it that way.
"""

import logging
import os
import re
from urllib.parse import quote

NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
KNOWN = re.compile(
    r"(?:HF|HUGGING_?FACE(?:_HUB)?|AWS|S3|OPENML|KAGGLE|GITHUB|GH|AZURE|GOOGLE|GCS)_\w*(?:TOKEN|KEY|SECRET|PASSWORD)\w*",
    re.IGNORECASE,
)
IN_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*://)(?:[^\s/@\"'<>]+@)?(?P<rest>[^\s?#\"'<>]*)(?:\?[^\s#\"'<>]*)?")
SECRET_QUERY = re.compile(
    r"(?i)(?:^|[_-])(?:token|key|apikey|secret|password|passwd|pwd|auth|sig|signature|credential)s?$|^x-amz-|^x-goog-"
)
STRUCK = "***"
_filled: set[str] = set()  # values that this process put into locators


def fill(locator: str) -> str:
    """The locator with each `${NAME}` replaced by that environment variable. Raises ValueError naming one that is not set."""

    def value(found: re.Match[str]) -> str:
        given = os.environ.get(found[1])
        if not given:
            raise ValueError(f"source.locator: the environment variable {found[1]} is not set")
        _filled.add(given)
        return given

    return NAMED.sub(value, locator)


def secrets() -> list[str]:
    """Every secret known to this process, the longest first, each also as it stands in a URL."""
    known = {value for name, value in os.environ.items() if KNOWN.fullmatch(name) and len(value) >= 6}
    plain = known | {value for value in _filled if value}
    return sorted(plain | {quote(value, safe="") for value in plain}, key=len, reverse=True)


def redact(text: str) -> str:
    """The text without known secrets, and without the user, password and query of any URL in it."""
    for value in secrets():
        text = text.replace(value, STRUCK)
    return IN_URL.sub(lambda found: found["scheme"] + found["rest"], text)


class Redacting(logging.Filter):
    """Strikes secrets out of log records before any handler sees them."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[1] is not None:
            record.exc_text = None
        return True
