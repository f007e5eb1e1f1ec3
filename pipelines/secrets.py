"""Secrets: taken from the environment, used in requests alone, and struck out of everything that is shown or written.

A locator may say `${NAME}` where a secret stands; cards, logs and messages keep it that way. What counts as a secret: the
values of environment variables that are named like one, what `fill` and `hide` were given, and what looks like a token.
Values of less than 6 characters are not looked for: struck out of every text, they would shred it, and the holes would tell
them. Where a name says that a secret follows (a header, a query), any length is struck.
"""

import logging
import os
import re
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus

from pipelines.secret_shapes import KNOWN, QUERY, SECRET_QUERY, SHAPES, URL

NAMED = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
STRUCK = "***"
SHORTEST = 6
Result = TypeVar("Result")
_filled: dict[str, str] = {}  # values that this process put into locators, with the name of their variable
_hidden: set[str] = set()


def fill(locator: str) -> str:
    """The locator with each `${NAME}` replaced by that environment variable, without spaces and newlines around it.

    The value stands as it is: in a URL it must be percent-encoded where that needs it (one variable may hold a whole signed
    query). Raises ValueError naming a variable that is not set or holds spaces or control characters.
    """

    def value(found: re.Match[str]) -> str:
        given = os.environ.get(found[1], "").strip()
        if not given:
            raise ValueError(f"source.locator: the environment variable {found[1]} is not set")
        if not given.isprintable() or " " in given:
            raise ValueError(f"source.locator: the environment variable {found[1]} holds spaces or control characters")
        _filled[given] = found[0]
        return given

    return NAMED.sub(value, locator)


def unfill(locator: str) -> str:
    """The locator with `${NAME}` again where `fill` put a value; values of less than 6 characters stay."""
    for value, name in sorted(_filled.items(), key=lambda item: len(item[0]), reverse=True):
        if len(value) >= SHORTEST:
            locator = locator.replace(value, name)
    return locator


def hide(value: str | None) -> None:
    """From now on strike this value too: a secret that came from elsewhere than the environment."""
    if value and len(value.strip()) >= SHORTEST:
        _hidden.add(value)


def strike(text: str) -> str:
    """The text without known secrets and without what looks like one; URLs keep their queries' harmless parameters."""
    text = strike_known(text)
    small = text.lower()
    for words, pattern in SHAPES:
        if any(word in small for word in words):
            text = pattern.sub(rf"\1{STRUCK}", text)
    if "=" in text:
        text = QUERY.sub(_without_value, text)
    return text


def _without_value(found: re.Match[str]) -> str:
    secret = SECRET_QUERY.search(found["name"]) and not NAMED.fullmatch(found["value"])
    return found["before"] + (STRUCK if secret else found["value"])


def strike_known(text: str) -> str:
    """The text without known secrets alone."""
    for value in secrets():
        if value in text:
            text = text.replace(value, STRUCK)
    return text


def redact(text: str) -> str:
    """The text of a library or server as it may be shown: `strike`, and no user, password or query in any URL."""
    text = strike(text)
    if "://" not in text:
        return text
    return URL.sub(_without_query, text)


def _without_query(found: re.Match[str]) -> str:
    path, query = found[1], found[2]
    return f"://{path}" + (f"?{STRUCK}{query[len(query.rstrip(':;,.)]')) :]}" if query else "")


def clean(error: BaseException) -> str:
    """What an error says, redacted, on one line; its class's name where it says nothing."""
    return redact(" ".join(str(error).split())) or type(error).__name__


def secrets() -> tuple[str, ...]:
    """Every secret known to this process, the longest first, in each form in which texts hold it."""
    named = [os.environ.get(name, "") for name in os.environ if _names_secret(name)]
    return _forms(frozenset(named).union(_filled, _hidden))


@lru_cache(maxsize=1024)
def _names_secret(name: str) -> bool:
    return KNOWN.fullmatch(name) is not None


@lru_cache(maxsize=8)
def _forms(values: frozenset[str]) -> tuple[str, ...]:
    whole = {value.strip() for value in values}
    lines = {line.strip() for value in whole if "\n" in value for line in value.splitlines() if len(line) >= 16}
    forms = set()
    for value in whole | lines:
        raw = value.encode("utf-8", "surrogatepass")  # the environment may hold what is no text
        forms |= {value, repr(value)[1:-1], quote(raw, safe=""), quote(raw), quote_plus(raw)}
    return tuple(sorted((form for form in forms if len(form) >= SHORTEST), key=lambda form: (-len(form), form)))


def guard_logs() -> None:
    """From now on no log record of this process holds a secret, whatever its logger and handlers; again it does nothing.

    Records are cleaned where they are made: a filter of a logger does not see what its children log, and one of a handler
    not what handlers that come later are given. Processes that are spawned call it again.
    """
    factory = logging.getLogRecordFactory()
    if not getattr(factory, "guards", False):

        def guarded(*args: Any, **kwargs: Any) -> logging.LogRecord:
            record = factory(*args, **kwargs)
            _clean_record(record)
            return record

        guarded.guards = True  # type: ignore[attr-defined]
        logging.setLogRecordFactory(guarded)


def _clean_record(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except Exception:  # logging would print message and arguments as they are
        record.msg, record.args = redact(f"{record.msg} {record.args}"), ()
    else:
        cleaned = redact(message)
        if cleaned != message:
            record.msg, record.args = cleaned, ()
    if isinstance(record.exc_info, tuple) and record.exc_info[0] is not None:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        cleaned = redact(text)
        if cleaned != text:  # formatters print exc_text where there is no exc_info
            record.exc_info, record.exc_text = None, cleaned


@contextmanager
def no_secrets() -> Iterator[None]:
    """Let no exception out that shows a secret in its text or in what led to it.

    Such a one is raised anew with the text redacted, of the same class where that takes a text, else of the nearest class
    above it; one that is neither ValueError nor OSError becomes a RuntimeError that begins with its class's name.
    """
    try:
        yield
    except Exception as error:
        shows = [cause for cause in _chain(error) if any(redact(text) != text for text in _texts(cause))]
        if not shows:
            raise
        if error not in shows:
            raise error from None  # only what led to it shows one
        raise _cleaned(error).with_traceback(error.__traceback__) from None


def without_secrets(function: Callable[..., Result], *given: Any) -> Result:
    """Call the function under `no_secrets`; unlike what that decorates, a `functools.partial` of this can travel."""
    with no_secrets():
        return function(*given)


def _chain(error: BaseException) -> list[BaseException]:
    """The error and every other that its traceback would print."""
    found: list[BaseException] = []
    ahead: list[BaseException | None] = [error]
    while ahead:
        cause = ahead.pop()
        if cause is not None and all(cause is not known for known in found):
            found.append(cause)
            ahead += [cause.__cause__, cause.__context__]
            if isinstance(cause, BaseExceptionGroup):
                ahead += cause.exceptions
    return found


def _texts(error: BaseException) -> list[str]:
    return [str(error), repr(error), *getattr(error, "__notes__", [])]


def _cleaned(error: Exception) -> Exception:
    text = redact(str(error))
    if isinstance(error, OSError) and error.errno is not None:
        names = [redact(name) if isinstance(name, str) else name for name in (error.filename, error.filename2)]
        return type(error)(error.errno, redact(error.strerror or ""), names[0], None, names[1])
    if not isinstance(error, (ValueError, OSError)):
        return RuntimeError(f"{type(error).__name__}: {text}")
    for kind in type(error).__mro__:
        try:
            made = kind(text)
        except Exception:
            continue
        if isinstance(made, Exception) and str(made) == text:
            return made
    raise AssertionError("ValueError and OSError take a text")
