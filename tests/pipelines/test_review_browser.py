"""The review page in a real browser: decisions by mouse and keyboard, what it downloads, and that curation takes it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from made_review import NASTY, curate_again, make_domain
from playwright.sync_api import Browser, Page, sync_playwright

from pipelines.layout import Layout
from pipelines.ledger import faults
from pipelines.overrides import load_overrides
from pipelines.review.page import write_page

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")
REASON = 'it\'s "so": {#} </script> \\n é\u0085\u2028 日本 😀'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    return make_domain(tmp_path_factory.mktemp("project"), encoder_file)


@pytest.fixture
def layout(made: Layout, tmp_path: Path) -> Layout:
    """A project of its own for each test, curated without any decision."""
    shutil.copytree(made.root, tmp_path / "project")
    return Layout(tmp_path / "project")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


def opened(layout: Layout, browser: Browser, width: int = 1280, scheme: str = "light") -> Page:
    target = layout.reports / "review.html"
    write_page("pebbles", layout, target)
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()  # type: ignore[arg-type]
    page.goto(target.as_uri())
    return page


def keys(layout: Layout, verdict: str) -> list[str]:
    ledger = pl.read_parquet(layout.domain("pebbles") / "ledger.parquet")
    return ledger.filter(pl.col("verdict") == verdict).sort("key")["key"].to_list()


def choose(page: Page, key: str, hand: str) -> None:
    page.locator(f'.card[data-key="{key}"] button[data-do={hand}]').first.click()


def save(page: Page, layout: Layout) -> Path:
    """Download the file to where curation looks for it."""
    with page.expect_download() as waiting:
        page.click("#download")
    assert waiting.value.suggested_filename == "pebbles.overrides.yaml"
    waiting.value.save_as(layout.overrides("pebbles"))
    return layout.overrides("pebbles")


def test_clicks_become_a_file_that_curation_takes(layout: Layout, browser: Browser) -> None:
    page = opened(layout, browser)
    (copy, *_), (wrong, *_), rare = keys(layout, "duplicate"), keys(layout, "label_conflict"), keys(layout, "rare_class")
    choose(page, copy, "keep")
    choose(page, rare[0], "drop")
    page.locator(f'.card[data-key="{rare[0]}"] .reason').first.fill(REASON)
    choose(page, wrong, "relabel")
    page.locator(f'.card[data-key="{wrong}"] .label').first.fill(NASTY)
    assert page.text_content("#count") == "3 decided: 1 keep, 1 drop, 1 relabel"
    decided = load_overrides(save(page, layout))
    assert decided.keep[copy].reason == "is no copy"
    assert decided.drop[rare[0]].reason == " ".join(REASON.split())
    assert decided.relabel[wrong].label == NASTY
    curate_again(layout)
    ledger = pl.read_parquet(layout.domain("pebbles") / "ledger.parquet")
    assert faults(ledger) == []
    rows = {row["key"]: row for row in ledger.iter_rows(named=True)}
    assert (rows[copy]["verdict"], rows[copy]["reason"]) == ("kept", "kept by hand: is no copy")
    assert rows[rare[0]]["verdict"] == "dropped_by_hand"
    assert rows[wrong]["label"] == NASTY
    assert rows[wrong]["source_label"] != NASTY
    provenance = json.loads((layout.domain("pebbles") / "provenance.json").read_text())
    assert set(provenance["overrides"]["relabel"]) == {wrong}

    again = opened(layout, browser)
    assert again.text_content("#count") == "3 decided: 1 keep, 1 drop, 1 relabel", "the file's decisions are loaded"
    choose(again, copy, "keep")  # taken back
    before = decided.model_dump()
    del before["keep"][copy]
    assert load_overrides(save(again, layout)).model_dump() == before


def test_the_keyboard_decides_and_the_browser_remembers(layout: Layout, browser: Browser) -> None:
    page = opened(layout, browser)
    cards = page.locator(".card")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.dataset.key") == cards.nth(0).get_attribute("data-key")
    page.keyboard.press("d")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement === document.querySelectorAll('.group')[1].querySelector('.card')")
    page.keyboard.press("r")
    page.keyboard.type("kjd new")
    page.keyboard.press("Enter")
    assert page.text_content("#count") == "3 decided: 1 keep, 1 drop, 1 relabel"
    page.reload()
    assert page.text_content("#count") == "3 decided: 1 keep, 1 drop, 1 relabel"
    assert page.locator(".card[data-do=relabel] .label").first.input_value() == "kjd new"
    cards.nth(0).focus()
    page.keyboard.press("u")
    assert page.text_content("#count") == "2 decided: 1 keep, 1 relabel"
    page.click("#forget")
    assert page.text_content("#count") == "no decisions"


def test_a_decision_without_words_is_not_downloaded(layout: Layout, browser: Browser) -> None:
    page = opened(layout, browser)
    wrong = keys(layout, "label_conflict")[0]
    card = page.locator(f'.card[data-key="{wrong}"]').first
    choose(page, wrong, "relabel")
    page.click("#download")
    assert page.text_content("#count") == "1 to mend: a picture needs a label"
    assert card.locator(".label").get_attribute("aria-invalid") == "true"
    card.locator(".label").fill("plain" if card.get_attribute("aria-label").startswith("plain,") else "no")  # type: ignore[union-attr]
    page.click("#download")
    assert page.text_content("#count") == "1 to mend: a picture has that label already"
    card.locator(".label").fill("another")
    card.locator(".reason").fill(" ")
    page.click("#download")
    assert "a picture needs a reason" in (page.text_content("#count") or "")
    assert not layout.overrides("pebbles").exists()


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_well(layout: Layout, browser: Browser, width: int, scheme: str) -> None:
    target = layout.reports / "review.html"
    write_page("pebbles", layout, target)
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()  # type: ignore[arg-type]
    trouble: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: trouble.append(message.text))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(target.as_uri())
    choose(page, keys(layout, "label_conflict")[0], "relabel")
    assert trouble == []
    assert [url for url in asked if not url.startswith("data:")] == [target.as_uri()]
    widths = page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
    assert min(widths) > 0
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    unnamed = "fields => fields.filter(field => !(field.ariaLabel || field.textContent.trim())).length"
    assert page.eval_on_selector_all("button, input, .card", unnamed) == 0
