"""Every record gets exactly one verdict, the first one stays, and nothing is lost."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ledger import SCHEMA, VERDICTS, counts, faults, give, keep_the_rest, record_key, undecided


def made_ledger(keys: list[str], labels: list[str] | None = None) -> pl.DataFrame:
    """A ledger of readable records without verdicts."""
    labels = labels or ["a"] * len(keys)
    frame = pl.DataFrame({"key": keys, "source_id": keys, "label": labels, "sha256": keys}, schema_overrides={"key": pl.String})
    missing = [pl.lit(None, dtype=kind).alias(name) for name, kind in SCHEMA.items() if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


steps = st.lists(st.dictionaries(st.integers(0, 19), st.sampled_from(VERDICTS[1:])), max_size=5)


@given(st.integers(1, 20), steps)
def test_first_verdict_stays_and_counts_add_up(records: int, verdicts: list[dict[int, str]]) -> None:
    keys = [f"k{number:02d}" for number in range(records)]
    ledger, expected = made_ledger(keys), {}
    for step in verdicts:
        rows = {keys[number]: verdict for number, verdict in step.items() if number < records}
        frame = pl.DataFrame(
            {"key": list(rows), "verdict": list(rows.values()), "reason": ["why"] * len(rows)},
            schema={"key": pl.String, "verdict": pl.String, "reason": pl.String},
        )
        ledger = give(ledger, frame)
        expected = {**rows, **expected}
        assert undecided(ledger).height == records - len(expected)
    ledger = keep_the_rest(ledger)
    found = dict(ledger.select("key", "verdict").iter_rows())
    assert ledger["key"].to_list() == keys
    assert found == {key: expected.get(key, "kept") for key in keys}
    assert sum(counts(ledger).values()) == records
    assert ledger["reason"].null_count() == 0


def test_keys_are_made_from_content_and_fit_the_alphabet() -> None:
    one, other = record_key("ab" * 32, "x/1.png"), record_key("ab" * 32, "x/2.png")
    assert one != other
    assert one[:16] == other[:16]
    assert set(one) <= set("0123456789abcdefghijklmnopqrstuvwxyz_-")


def test_faults_names_each_breach() -> None:
    good = keep_the_rest(made_ledger(["a", "b"])).with_columns(split=pl.lit("train"))
    assert faults(good) == []
    assert faults(good.drop("mode")) != []
    assert "keys are not unique" in faults(pl.concat([good, good]))
    assert faults(good.with_columns(verdict=pl.lit("gone"))) != []
    assert faults(good.with_columns(split=pl.lit(None, dtype=pl.String))) != []
    assert faults(good.with_columns(reason=pl.lit(None, dtype=pl.String))) != []
    lost = good.with_columns(verdict=pl.Series(["duplicate", "kept"]), split=pl.Series([None, "train"]), kept_key=pl.lit("z"))
    assert "a duplicate whose keeper is not in the ledger" in faults(lost)
