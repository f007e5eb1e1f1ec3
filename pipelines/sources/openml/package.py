"""The openml package, kept from home folders, logs and waiting.

On import it makes folders under ~/.config and ~/.cache; it sends requests without a time limit, and logs through the root
logger. Here its folders are temporary, its requests have limits, and its noise is left out.
"""

import logging
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import requests

from pipelines.secrets import guard_logs
from pipelines.sources.openml.address import key_for
from pipelines.transfer import Place
from pipelines.transfer.retry import Unready, check_deadline, seconds_left

AGAIN = (408, 425, 429)  # and 5xx: answers after which another attempt may help
MOST_BYTES = 16 << 20  # of one answer: descriptions have some kilobytes
_asking = threading.Lock()  # the package's settings are of the whole process


@contextmanager
def contained(server: str, place: Place) -> Iterator[ModuleType]:
    """The package, set up for one question; nothing of it is left behind."""
    folder = place.downloads / "openml" / ".asking"
    with _asking, _alone(folder), _quiet():
        package = _package(folder)
        with _settings(package.config, server, folder, place), _bounded(import_module("openml._api_calls"), place):
            yield package


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """An empty folder that is there meanwhile."""
    shutil.rmtree(folder, ignore_errors=True)  # left by a killed run
    folder.mkdir(parents=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the package's noise from the root logger, and the key from what urllib3 logs of its requests."""
    guard_logs()
    root = logging.getLogger()
    silence = logging.NullHandler()  # without any handler, logging.info() would give the root logger one of its own
    root.addFilter(_is_news)
    root.addHandler(silence)
    try:
        yield
    finally:
        root.removeHandler(silence)
        root.removeFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return record.module != "_api_calls" or record.levelno >= logging.ERROR


def _package(folder: Path) -> ModuleType:
    """The openml package, imported (seconds) so that it makes its folders in this one."""
    if "openml" in sys.modules:
        return sys.modules["openml"]
    moved = {"XDG_CONFIG_HOME": folder / "config", "OPENML_CACHE_DIR": folder / "cache"}
    before = {name: os.environ.get(name) for name in moved}
    os.environ.update({name: str(path) for name, path in moved.items()})
    try:
        return import_module("openml")
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@contextmanager
def _settings(config: Any, server: str, folder: Path, place: Place) -> Iterator[None]:
    ours = {
        "server": server,
        "apikey": key_for(server),
        "connection_n_retries": 1,  # `retry.persist` tries again, by the rules
        "_root_cache_directory": folder,
    }
    before = {name: getattr(config, name) for name in ours}
    vars(config).update(ours)
    try:
        yield
    finally:
        vars(config).update(before)


@contextmanager
def _bounded(calls: Any, place: Place) -> Iterator[None]:
    """Give the package's requests limits of time and bytes; answers that say `later` raise TransferError."""

    class Session(requests.Session):
        def request(self, method: Any, url: Any, **given: Any) -> requests.Response:  # type: ignore[override]
            limits = {"stream": True, "timeout": patience(place)}
            with super().request(method, url, **(given | limits)) as response:
                if response.status_code in AGAIN or response.status_code >= 500:
                    raise Unready(f"the server answers {response.status_code}", response.status_code)
                response._content = _body(response, place)
            return response

    ours = ModuleType("requests")
    vars(ours).update(vars(requests) | {"Session": Session})
    before, calls.requests = calls.requests, ours
    try:
        yield
    finally:
        calls.requests = before


def _body(response: requests.Response, place: Place) -> bytes:
    body = bytearray()
    for block in response.iter_content(1 << 16):
        body += block
        check_deadline(place)
        if len(body) > MOST_BYTES:
            raise ValueError(f"an answer of more than {MOST_BYTES} bytes")
    return bytes(body)


def patience(place: Place) -> tuple[float, float]:
    """Seconds to wait for a connection, and for each part of an answer. Raises TransferError where the time is over."""
    check_deadline(place)
    left, most = seconds_left(place), place.rules.read_timeout
    silent = most if left is None else max(0.01, min(most, left))
    return min(30.0, silent), silent
