"""A download and its conversion, killed again and again: the same raw records, and no byte fetched twice that was kept."""

from pathlib import Path

from benchmarks.killed import BUFFER, killed

RECEIVED = 8 << 20  # bytes that the kernel may hold for a receiver that is gone


def test_killed_runs_end_as_an_undisturbed_one(tmp_path: Path) -> None:
    outcome = killed(tmp_path, megabytes=20, downloading=4, converting=2, seed=3, rate=4e7)
    assert outcome.identical
    assert len(outcome.kills) == 6
    assert [kill.again for kill in outcome.kills] == [kill.in_flight for kill in outcome.kills]
    assert all(0 <= kill.in_flight <= BUFFER + RECEIVED for kill in outcome.kills)
    assert outcome.sent == outcome.archive + sum(kill.in_flight for kill in outcome.kills)
    assert all(0 < kill.kept < outcome.archive for kill in outcome.kills[:4])
    assert [kill.kept for kill in outcome.kills[4:]] == [outcome.archive] * 2
    assert [kill.sent_after for kill in outcome.kills[4:]] == [0, 0]
