"""Killed again and again, a stage ends as an undisturbed one: no byte fetched twice that was kept, and nothing left behind."""

from pathlib import Path

import pytest

from benchmarks.killed import BUFFER, killed
from benchmarks.killed_curate import Project
from benchmarks.killed_curate_run import PLACING, STEPS

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


@pytest.mark.usefixtures("prefect_server")
def test_killed_curation_leaves_nothing_and_ends_as_undisturbed(tmp_path: Path, encoder_file: Path) -> None:
    project = Project(tmp_path, images=400, runner="threads", encoder=encoder_file)
    kills = list(project.killed(6, seed=2, run_again=False))
    assert [kill.drawn for kill in kills] == [*STEPS, PLACING]
    assert kills[-1].step == PLACING
    assert len({kill.step for kill in kills}) >= 3
    assert sum(kill.orphans for kill in kills) == 0
    assert all(kill.left for kill in kills[:3]), "it died with nothing begun"
    last = kills[-1]
    project.end(last)
    assert last.stray == []
    assert last.identical
