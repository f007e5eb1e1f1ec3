"""The review page: what stands on it, that it is bounded and self-contained, and what the command says."""

import re
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from made_review import LABELS, curate_again, make_domain, noise

from pipelines.__main__ import main
from pipelines.check import check_domain
from pipelines.layout import Layout
from pipelines.review import sections as chosen
from pipelines.review.page import write_page
from pipelines.sources import RawRecord

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory, encoder_file: Path) -> Layout:
    return make_domain(tmp_path_factory.mktemp("project"), encoder_file)


def ledger(layout: Layout) -> pl.DataFrame:
    return pl.read_parquet(layout.domain("pebbles") / "ledger.parquet")


def test_the_page_stands_alone(layout: Layout) -> None:
    said = write_page("pebbles", layout, layout.reports / "page.html")
    page = (layout.reports / "page.html").read_text(encoding="utf-8")
    assert said.startswith("label conflicts 1, ")
    assert "copies 1" in said
    assert "rare classes 1" in said
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page), "nothing is fetched"
    assert page.count("</script>") == 2, "no label ends a script"
    assert "<b>&#34;" not in page.replace("&lt;b&gt;", "")
    assert "<few>" not in page
    assert page.count('data-key="') == page.count('class="do"')
    keys = set(re.findall(r'data-key="([^"]+)"', page))
    copies = ledger(layout).filter(pl.col("verdict").is_in(["duplicate", "label_conflict", "rare_class"]))
    assert set(copies["key"]) <= keys
    first = page.encode()
    write_page("pebbles", layout, layout.reports / "page.html")
    assert (layout.reports / "page.html").read_bytes() == first


def test_what_the_command_says(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "pebbles"], layout.root) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].startswith(f"{layout.reports / 'review-pebbles.html'}: label conflicts 1, ")
    assert out[0].endswith(" MB)")
    assert out[1] == f"Next: open it, decide, download to {layout.overrides('pebbles')}, then dvc repro"
    assert main(["review", "pebbles", "--output", str(layout.root / "own.html")], layout.root) == 0
    assert (layout.root / "own.html").exists()


def test_what_is_refused(layout: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["review", "shells"], layout.root) == 2
    assert "no card for domain 'shells'" in capsys.readouterr().err
    (layout.root / "collections" / "sand.yaml").write_text(
        layout.card("pebbles").read_text().replace("id: pebbles", "id: sand")
    )
    assert main(["review", "sand"], layout.root) == 2
    assert "sand: not curated yet" in capsys.readouterr().err
    layout.overrides("pebbles").write_text("drop: {x: {reason: ''}}")
    assert main(["review", "pebbles", "--output", str(layout.root / "no.html")], layout.root) == 2
    assert "pebbles.overrides.yaml: drop.x.reason: is empty" in capsys.readouterr().err
    assert not (layout.root / "no.html").exists()
    layout.overrides("pebbles").unlink()
    (layout.root / "collections" / "sand.yaml").unlink()


def test_a_large_domain_makes_a_bounded_page(tmp_path: Path, encoder_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen, "MOST_GROUPS", 3)
    found = [RawRecord(f"{n}.png", LABELS[n % 3], noise(130, n)) for n in range(30)]
    found += [RawRecord(f"copy{n}.png", LABELS[n % 3], noise(130, n)) for n in range(12)]
    layout = make_domain(tmp_path, encoder_file, found)
    assert "copies 12" in write_page("pebbles", layout, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "The first 3 are shown, 9 more are in the ledger." in page
    largest = max(len(uri) for uri in re.findall(r'src="(data:image[^"]+)"', page))
    most = {
        "copies and conflicts": 2 * 40 * chosen.MOST_MEMBERS,
        "suspects": 40 * (1 + chosen.MOST_NEIGHBOURS),
        "quality": len(chosen.WORDS) * chosen.MOST_WORST,
        "rare": 40 * chosen.MOST_OF_CLASS,
        "by hand": chosen.MOST_BY_HAND,
    }
    assert sum(most.values()) * largest < 15e6, "even where every picture is noise"


def test_check_says_that_decisions_wait_for_curation(tmp_path: Path, encoder_file: Path) -> None:
    layout = make_domain(tmp_path, encoder_file)
    assert check_domain("pebbles", layout) == []
    kept = ledger(layout).filter(pl.col("verdict") == "kept")["key"].min()
    layout.overrides("pebbles").write_text(f"drop: {{{kept}: {{reason: a hand covers it}}}}")
    (problem,) = check_domain("pebbles", layout)
    assert problem.endswith("curated under other decisions by hand than those of " + str(layout.overrides("pebbles")))
    curate_again(layout)
    assert check_domain("pebbles", layout) == []


def test_no_torch_and_no_prefect_is_loaded() -> None:
    code = "import sys, pipelines.review.page; print([name for name in ('torch', 'prefect') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_sections_of_nothing() -> None:
    from pipelines.deduplicate import EVIDENCE
    from pipelines.ledger import SCHEMA
    from pipelines.suspects import SCHEMA as SUSPECTS

    empty = [pl.DataFrame(schema=schema) for schema in (SCHEMA, EVIDENCE, SUSPECTS)]
    assert [section.groups for section in chosen.sections(*empty, [])] == [[]] * 6
