"""Locators: which are taken, how they are shown, and what stays apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.secrets import fill
from pipelines.transfer.locators import check_locator, download_name, is_object, is_remote, scheme_of, shown


@pytest.mark.parametrize(
    "locator",
    [
        "pebbles.zip",
        "../a folder/p#1.zip",
        "./gs:odd.zip",
        "file:///data/p.zip",
        "https://host/p.zip?file=17&part=2",
        "http://127.0.0.1:8000/p.zip",
        "https://host/p.zip?token=${TOKEN}",
        "https://host/p.zip?${SIGNED}",
        "https://host/${FOLDER}/p.zip",
        "https://host/a@2/p.zip",
        "s3://stones/a b/p#1.zip",
        "s3://stones/p.zip?versionId=3",
    ],
)
def test_taken(locator: str) -> None:
    check_locator(locator)
    assert shown(locator) == locator


@pytest.mark.parametrize(
    ("locator", "words"),
    [
        ("pipe:cat /etc/passwd", "pipe: is not read here"),
        ("gs://stones/p.zip", "gs: is not read here"),
        ("hf://datasets/a/b", "hf: is not read here"),
        ("s3a://stones/p.zip", "s3a: is not read here"),
        ("simplecache::s3://stones/p.zip", "simplecache: is not read here"),
        ("zip://*.csv::http://host/p.zip", "zip: is not read here"),
        ("ftp://host/p.zip", "expected a path or a file:, http:, https: or s3: URL"),
        ("http:host/p.zip", "malformed"),
        ("https:///p.zip", "malformed"),
        ("https://host:port/p.zip", "malformed"),
        ("https://[::1/p.zip", "malformed"),
        ("https://me:hush/hush@host/p.zip", "malformed"),
        ("s3://stones", "s3://BUCKET/KEY"),
        ("s3://stones/", "s3://BUCKET/KEY"),
        ("s3:///p.zip", "malformed"),
        ("s3://stones/p.zip?X-Amz-Signature=hush", "holds a secret in its query; write X-Amz-Signature="),
        ("s3://stones/p?.zip", "versionId"),
        ("s3://AKIA:hush@stones/p.zip", "holds a user or password.*~/.aws"),
        ("https://me:hush@host/p.zip", "holds a user or password; put it into ~/.netrc"),
        ("https://hush@host/p.zip", "holds a user or password"),
        ("https://a@b:hush@host/p.zip", "holds a user or password"),
        ("https://host/p.zip?a=1&token=hush", r"write token=\$\{NAME\}"),
        ("https://host/p.zip?a=1;access_token=hush", "holds a secret"),
        ("https://host/p.zip?to%6ben=hush", "holds a secret"),
        ("https://host/p.zip?sig=hush", "holds a secret"),
        ("https://host/p.zip?api_key=hush", "holds a secret"),
        ("https://host/p.zip?AWSAccessKeyId=hush", "holds a secret"),
        ("https://host/p.zip?X-Goog-Signature=hush", "holds a secret"),
        ("https://host/p.zip?token=hush${NAME}", "holds a secret"),
        ("https://host/p.zip?from=https%3A%2F%2Fother%2Fp%3Ftoken%3Dhush", "holds a secret"),
        ("https://host/p.zip?from=https://me:hush@other/p", "holds a user"),
        ("https://host/a\nb.zip", "control character"),
    ],
)
def test_refused(locator: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        check_locator(locator)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_shown() -> None:
    assert shown("https://u:p@host:8/a/b.zip?sig=1#f") == "https://host:8/a/b.zip?sig=***"
    assert shown("https://host/p?file=17&token=abc&part=2") == "https://host/p?file=17&token=***&part=2"
    assert shown("https://host/p?file=17") != shown("https://host/p?file=18")
    assert shown("https://host/hf_ABCDEFGHIJKLMNOPQRSTUVWXYZ/p") == "https://host/***/p"


def test_the_same_before_and_after_filling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEBBLES_KEY", "s3cr3t.(x*")
    monkeypatch.setenv("PEBBLES_SIGNED", "sv=2020&sig=abc%2Fdef&se=2030\n")
    for locator in (
        "https://host/p?file=1&key=${PEBBLES_KEY}",
        "https://host/${PEBBLES_KEY}/p",
        "https://host/p?${PEBBLES_SIGNED}",
    ):
        filled = fill(locator)
        assert "${" not in filled
        assert filled == filled.strip()
        assert shown(filled) == shown(locator) == locator
        assert download_name(filled) == download_name(locator)


def test_filling_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PEBBLES_KEY", raising=False)
    with pytest.raises(ValueError, match="PEBBLES_KEY is not set"):
        fill("https://host/p?key=${PEBBLES_KEY}")
    for value in ("a b", "a\nHost: other", "a\x00b"):
        if "\x00" not in value:
            monkeypatch.setenv("PEBBLES_KEY", value)
            with pytest.raises(ValueError, match="PEBBLES_KEY holds spaces or control characters"):
                fill("https://host/p?key=${PEBBLES_KEY}")


def test_download_names() -> None:
    name = download_name("https://host/a/p%20q.zip?token=abcdef&file=1")
    assert name.endswith("-p_20q.zip")
    assert name == download_name("https://host/a/p%20q.zip?token=other&file=1")
    assert name != download_name("https://host/a/p%20q.zip?token=abcdef&file=2")
    assert download_name("https://host/").endswith("-download")


@given(st.text(max_size=60), st.sampled_from(["", "https://", "s3://", "pipe:", "https://host/p?token=", "file:"]))
def test_any_text_is_taken_or_refused_in_one_line(text: str, start: str) -> None:
    locator = start + text
    assert "\n" not in download_name(locator)
    assert "/" not in download_name(locator)
    assert is_object(locator) <= is_remote(locator) <= bool(scheme_of(locator))
    shown(locator)
    said = ""
    try:
        check_locator(locator)
    except ValueError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
