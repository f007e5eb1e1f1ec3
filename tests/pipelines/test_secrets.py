"""Secrets are in no message, log or file, whatever fails and whoever speaks of it."""

import io
import logging
import socket
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines import secrets
from pipelines.secrets import clean, fill, guard_logs, hide, no_secrets, redact
from pipelines.transfer import Place, Rules, TransferError
from pipelines.transfer.fetch import fetch

SECRET = "s3cr3t.(x*+$[v]"
TOKEN = "hf_AbCdEfGhIjKlMnOpQrStUvWxYz"


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    monkeypatch.setattr(secrets, "_hidden", set())
    monkeypatch.setattr(secrets, "_filled", {})
    monkeypatch.setenv("PEBBLES_TOKEN", SECRET)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "line-of-a-key/one\nline-of-a-key+two")
    monkeypatch.setenv("HF_TOKEN_PATH", "keys/of/somebody")
    monkeypatch.setenv("KAGGLE_KEY", "short")
    yield
    logging.setLogRecordFactory(factory)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"a {SECRET} b", "a *** b"),
        (f"{SECRET!r} {{'a': '{SECRET}'}}", "'***' {'a': '***'}"),
        ("x?a=s3cr3t.%28x%2A%2B%24%5Bv%5D", "x?a=***"),
        ("one line-of-a-key/one, line-of-a-key+two", "one ***, ***"),
        ("line-of-a-key/one\nline-of-a-key+two", "***"),
        ("short keys/of/somebody", "short keys/of/somebody"),
        ("Authorization: Bearer xxx", "Authorization: ***"),
        ("authorization:AWS4-HMAC-SHA256 Credential=A/b, Signature=c\nhost:d", "authorization:***\nhost:d"),
        ("[(b'Authorization', b'Basic dTpw'), (b'a', b'b')]", "[(b'Authorization', b'***'), (b'a', b'b')]"),
        ("{'authorization': 'Bearer a b', 'x-api-key': 'c', 'e': 1}", "{'authorization': '***', 'x-api-key': '***', 'e': 1}"),
        ("Set-Cookie: session=abc; Path=/", "Set-Cookie: ***"),
        ("sent Bearer abc.def-ghi to it", "sent Bearer *** to it"),
        ("sent Basic dXNlcjpwYXNz to it", "sent Basic *** to it"),
        (f"cannot use {TOKEN}.", "cannot use ***."),
        ("<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId>", "<AWSAccessKeyId>***</AWSAccessKeyId>"),
        ("<SignatureProvided>abcdef0123</SignatureProvided>", "<SignatureProvided>***</SignatureProvided>"),
        ('{"token": "abcdefgh", "n": 1}', '{"token": "***", "n": 1}'),
        ("aws_secret_access_key = abcdefgh", "aws_secret_access_key = ***"),
        ("Signature:\nabcdef0123", "Signature:\n***"),
        ("GET /b/k?X-Amz-Signature=ab&x=1 HTTP/1.1", "GET /b/k?X-Amz-Signature=***&x=1 HTTP/1.1"),
        ("at https://me:pw@host/p?sv=1&se=2: 404", "at https://host/p?***: 404"),
        ("at https://a@b:p'w@host/p", "at https://host/p"),
        ("at https://a@b:pw@host/p#access_token=a.b", "at https://host/p"),
        ("postgres://me:pw@host/base", "postgres://host/base"),
    ],
)  # fmt: skip
def test_redact(text: str, expected: str) -> None:
    assert redact(text) == expected
    assert redact(expected) == expected


@pytest.mark.parametrize(
    "text",
    [
        "pebbles.zip: expected sha256:0f, found sha256:1e; get it again (delete it if it is a download)",
        "no authorization, try again",
        "while scanning a simple key in card.yaml, line 3",
        "Basic information is missing",
        "source.label: columns go with the layout meta_album, not with folders",
        "the token is not known; x-rays, cookies and keys are left alone",
        "params.yaml: transfer.retries: expected a number >= 0, found 'many'",
        "source.locator: the query holds a secret; write token=${NAME} and set that environment variable",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redact(text) == text


CHARACTERS = st.characters(exclude_characters="*")


@given(st.text(CHARACTERS), st.text(CHARACTERS, min_size=6, max_size=40), st.text(CHARACTERS))
@example("://", "token=a@b", "?=&")
@example("", "00000\udc80", "")
def test_a_known_secret_never_stays(before: str, secret: str, after: str) -> None:
    secrets._hidden.clear()
    hide(secret)
    if len(secret.strip()) >= 6:
        assert secret.strip() not in redact(f"{before}{secret}{after}")


@given(st.text(st.sampled_from("a:/?&=;#@ '\"tokenhf_*{}$%\n"), max_size=200))
def test_redacting_twice_is_redacting_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_clean() -> None:
    assert clean(ValueError(f"a\n  {SECRET}")) == "a ***"
    assert clean(KeyError()) == "KeyError"


class Heard(logging.Handler):
    """Keeps what it would print."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(message)s %(args)s"))
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"


@pytest.fixture
def heard() -> Iterator[Heard]:
    heard, root = Heard(), logging.getLogger()
    level = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(heard)
    yield heard
    root.removeHandler(heard)
    root.setLevel(level)


def test_logs_of_every_logger_and_handler(heard: Heard) -> None:
    child = logging.getLogger("pebbles.child.of.child")
    child.debug("before %s", "nothing")
    guard_logs()
    guard_logs()
    own = Heard()  # comes after the guard, and the child passes nothing on
    child.addHandler(own)
    child.propagate = False
    try:
        child.warning("said %s and %d", SECRET, 3)
        child.error(f"100 % of {SECRET}")
        child.info("an URL: %s", httpx.URL("https://me:pw@host/p?file=1"))
        child.info("by name: %(key)s", {"key": SECRET})
        child.debug("left alone: %s", "pebbles")
    finally:
        child.propagate = True
        child.removeHandler(own)
    assert SECRET not in own.text
    assert "said *** and 3" in own.text
    assert "100 % of ***" in own.text
    assert "https://host/p?***" in own.text
    assert "left alone: pebbles ('pebbles',)" in own.text
    logging.getLogger().warning("%s", SECRET)
    assert SECRET not in heard.text


def test_logged_exceptions(heard: Heard) -> None:
    guard_logs()
    try:
        try:
            raise OSError(f"first {SECRET}")
        except OSError as error:
            raise KeyError(f"then {SECRET}") from error
    except KeyError:
        logging.getLogger("pebbles").exception("it failed")
    assert "first ***" in heard.text
    assert "KeyError" in heard.text
    assert "Traceback" in heard.text
    assert SECRET not in heard.text


def test_arguments_that_do_not_fit(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    guard_logs()
    logging.getLogger("pebbles").warning("%d and %d", SECRET)
    logging.getLogger("pebbles").warning("%d", SECRET)
    assert SECRET not in heard.text + capsys.readouterr().err


class Own(ValueError):
    """An error that takes a text."""


class Two(ValueError):
    """One that takes more."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text, number)


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError(f"a {SECRET}"), ValueError, "a ***"),
        (Own(f"a {SECRET}"), Own, "a ***"),
        (TransferError(f"a {SECRET}"), TransferError, "a ***"),
        (Two(f"a {SECRET}", 1), ValueError, "('a ***', 1)"),
        (UnicodeDecodeError("hex", b"a", 0, 1, SECRET), UnicodeError, "'hex' codec can't decode byte 0x61 in position 0: ***"),
        (FileNotFoundError(2, "No such file", f"/a/{SECRET}"), FileNotFoundError, "[Errno 2] No such file: '/a/***'"),
        (KeyError(SECRET), RuntimeError, "KeyError: '***'"),
        (httpx.ConnectError(f"to https://u:p@h/?{SECRET}"), RuntimeError, "ConnectError: to https://h/?***"),
        (ExceptionGroup("both", [ValueError(SECRET)]), RuntimeError, "ExceptionGroup: both (1 sub-exception)"),
    ],
)  # fmt: skip
def test_no_secrets(error: Exception, kind: type[Exception], text: str) -> None:
    error.__context__ = RuntimeError(f"led to it {SECRET}")
    with pytest.raises(kind) as caught, no_secrets():
        raise error
    assert type(caught.value) is kind
    assert str(caught.value) == text
    assert SECRET not in printed(caught.value)


def test_no_secrets_leaves_others_alone() -> None:
    cause = KeyError("a")
    with pytest.raises(ValueError, match="b") as caught, no_secrets():
        raise ValueError("b") from cause
    assert caught.value.__cause__ is cause
    with pytest.raises(ValueError, match="b") as caught, no_secrets():
        raise ValueError("b") from KeyError(SECRET)
    assert SECRET not in printed(caught.value)
    error = ValueError("b")
    error.add_note(SECRET)
    with pytest.raises(ValueError, match="b") as caught, no_secrets():
        raise error
    assert SECRET not in printed(caught.value)


def printed(error: BaseException) -> str:
    """What Python prints of it, without lines of source."""
    return "".join(line for line in traceback.format_exception(error) if not line.startswith("  File"))


class Echo(BaseHTTPRequestHandler):
    """Answers every request with all that it was sent: in the status line, in headers and in the body."""

    def do_GET(self) -> None:
        told = f"{self.path} {dict(self.headers)}"
        if self.path.startswith("/redirect"):
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:9/x?{self.path.partition('?')[2]}&signature={TOKEN}")
        elif self.path.startswith("/ftp"):
            self.send_response(302)
            self.send_header("Location", f"ftp://me:{TOKEN}@127.0.0.1/x?{self.path.partition('?')[2]}")
        else:
            self.send_response(int(self.path[1:4]), f"No {self.path.partition('=')[2]}")
        self.send_header("X-Echo", told)
        self.send_header("Set-Cookie", f"session={TOKEN}")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told.encode())

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("path", ["/403", "/401", "/404", "/500", "/200", "/redirect", "/ftp", "closed"])
def test_failing_fetches(echo: str, heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    guard_logs()
    netrc = tmp_path.parent / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password hush-hush-hush\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    place = Place(tmp_path, tmp_path / "downloads", "pebbles", Rules(retries=0, read_timeout=5))
    before = {name: logging.getLogger(name).level for name in ("httpx", "httpcore", "urllib3", "asyncio")}
    for name in before:
        logging.getLogger(name).setLevel(logging.DEBUG)
    if path == "closed":
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            echo, path = f"http://127.0.0.1:{closed.getsockname()[1]}", "/x"
    told = attempt(f"{echo}{path}?token=${{PEBBLES_TOKEN}}", place)
    assert ("${PEBBLES_TOKEN}" in told) == (path != "/200")
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)
    written = [file for file in tmp_path.rglob("*") if file.is_file()]
    for file in written:
        if path != "/200" or file.suffix == ".json":  # the file itself is what the server sent
            told += file.read_text(errors="replace")
        told += file.name
    told += heard.text + "".join(place.came)
    for secret in (SECRET, "s3cr3t", TOKEN, "hush-hush", "c29tZWJvZHk6"):
        assert secret not in told


def attempt(locator: str, place: Place) -> str:
    """What is printed of a fetch's failure."""
    try:
        fetch(locator, place)
    except (OSError, ValueError) as error:
        return printed(error)
    return ""


def test_a_handler_with_a_stream_of_its_own() -> None:
    guard_logs()
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    logger = logging.getLogger("pebbles.stream")
    logger.addHandler(handler)
    logger.error("%s", fill("https://host/p?key=${PEBBLES_TOKEN}"))
    logger.removeHandler(handler)
    assert "https://host/p?***" in stream.getvalue()
