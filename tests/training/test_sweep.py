"""The sweep: only new work, killed and resumed, damaged and mended, and told before it begins."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from made_sweep import COLLECTION, ROLES, asked, domain

from training.measure import store as store_module
from training.measure import trial as trial_module
from training.measure.store import ABOUT, LEARNER, Store, key_of
from training.measure.sweep import Plan, in_threads, processes
from training.measure.told import in_words, told
from training.measure.trial import Judged, Trial, finish, stored


def done(trial: Trial, plan: Plan) -> dict[str, Judged]:
    return {job.key: finish(trial, job) for job in plan.jobs}


def same(one: Judged, other: Judged) -> bool:
    return one.keys() == other.keys() and all(one[place].tolist() == other[place].tolist() for place in one)


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The subsets that were trained."""
    seen: list[tuple[str, ...]] = []
    real = trial_module.trained
    monkeypatch.setattr(trial_module, "trained", lambda trial, job: (seen.append(job.subset), real(trial, job))[1])
    return seen


def test_a_finished_sweep_trains_and_judges_nothing(
    tmp_path: Path, trainings: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    trial, plan = asked(tmp_path)
    first = done(trial, plan)
    assert len(trainings) == len(plan.jobs) == 10
    monkeypatch.setattr(trial_module, "episode_accuracies", lambda *given: pytest.fail("judged again"))
    again, plan = asked(tmp_path)
    assert all(same(found, first[key]) for key, found in done(again, plan).items())
    assert len(trainings) == 10


def test_a_swap_trains_only_the_subsets_that_hold_the_domain(tmp_path: Path, trainings: list[tuple[str, ...]]) -> None:
    done(*asked(tmp_path, seeds=1))
    trainings.clear()
    done(*asked(tmp_path, collection={**COLLECTION, "b": domain("b", seed=5)}, seeds=1))
    assert sorted(trainings) == [("a", "b"), ("b",), ("c", "b")]


def test_another_held_out_domain_is_judged_on_without_training(tmp_path: Path, trainings: list[tuple[str, ...]]) -> None:
    done(*asked(tmp_path, seeds=1))
    trainings.clear()
    trial, plan = asked(tmp_path, roles={name: role for name, role in ROLES.items() if name != "e"} | {"f": "held_out"},
                        collection={**COLLECTION, "f": domain("f")}, seeds=1)  # fmt: skip
    assert all({name for name, _ in judged} == {"d", "f"} for judged in done(trial, plan).values())
    assert trainings == []


@pytest.mark.parametrize("change", [{"steps": 2}, {"seeds": 1, "n_way": 2}])
def test_what_a_training_depends_on_is_in_its_key(tmp_path: Path, change: dict[str, int]) -> None:
    (_, before), (_, after) = asked(tmp_path), asked(tmp_path, **change)
    shared = {job.key for job in before.jobs} & {job.key for job in after.jobs}
    assert len(shared) == (0 if "steps" in change else len(after.jobs))  # other episodes are judged, not trained


def test_a_killed_sweep_goes_on_where_it_was(tmp_path: Path, trainings: list[tuple[str, ...]]) -> None:
    undisturbed = done(*asked(tmp_path / "whole"))
    trainings.clear()
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import made_sweep; from pathlib import Path; "
    code += f"made_sweep.sweep(Path({str(tmp_path / 'cut')!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        finished = {process.stdout.readline().strip() for _ in range(3)}
        children = psutil.Process(process.pid).children(recursive=True)
        process.kill()
    assert len(children) >= 2
    assert psutil.wait_procs(children, timeout=30)[1] == [], "processes that nobody waits for go on"
    trial, plan = asked(tmp_path / "cut")
    kept = [job.key for job in plan.jobs if stored(trial, job)]
    untrained = [job for job in plan.jobs if not trial.store.finished(job.key)]  # one may be trained and not yet judged
    assert finished <= set(kept)
    assert all(same(found, undisturbed[key]) for key, found in done(trial, plan).items())
    assert len(trainings) == len(untrained) <= len(plan.jobs) - len(kept)


def test_what_is_damaged_is_told_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], trainings: list[tuple[str, ...]]
) -> None:
    trial, plan = asked(tmp_path, seeds=1)
    before = done(trial, plan)
    trainings.clear()
    about, weights, accuracies, gone = (tmp_path / job.key for job in plan.jobs[:4])
    (about / ABOUT).write_text("{")
    (weights / LEARNER).write_bytes((weights / LEARNER).read_bytes()[:-1] + b"?")
    judged = sorted(accuracies.glob("*.npy"))[0]
    judged.write_bytes(b"?" + judged.read_bytes()[1:])
    for path in (*weights.glob("*.npy"), gone / LEARNER, *gone.glob("*.npy")):
        path.unlink()
    assert all(same(found, before[key]) for key, found in done(trial, plan).items())
    assert trainings == [plan.jobs[1].subset, plan.jobs[3].subset]  # judged again by its learner, or still there
    said = capsys.readouterr().err.splitlines()
    assert said == [f"  measure: {path} is damaged; it is made again" for path in (weights / LEARNER, judged, gone / LEARNER)]
    assert not trial.store.finished(plan.jobs[0].key)


def test_a_store_names_the_same_facts_alike() -> None:
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1}) != key_of({"a": 1, "b": [3]})
    assert store_module.Store(Path("nowhere")).seconds("x") is None


def test_processes_fill_the_same_store(tmp_path: Path) -> None:
    trial, plan = asked(tmp_path, seeds=1, steps=1)
    with processes(trial, 2, finish) as do:
        found = dict(in_threads(2)(do, plan.jobs))
    assert set(found) == set(plan.jobs)
    assert all(stored(trial, job) is not None for job in plan.jobs)


def test_the_plan_is_told(tmp_path: Path) -> None:
    trial, plan = asked(tmp_path, max_trainings=7)
    finish(trial, plan.jobs[0])
    seconds = trial.store.seconds(plan.jobs[0].key)
    assert told(plan, trial, 2) == [
        "design        subsets  trainings  finished  left out",
        "full                1          2         1         -",
        "removal             2          4         0         -",
        "replacement         2          4         0         4",
        "together            5         10         1         4",
        "measurement.max_trainings: 7 leaves out c+b, a+c",
        f"about {in_words(seconds * 3)} for 5 trainings of {seconds:.0f} s in 2 processes",
    ]
    done(trial, plan)
    assert told(plan, trial, 2)[-1] == "every training is finished"


def test_times_are_told_as_people_say_them() -> None:
    assert [in_words(seconds) for seconds in (3.2, 100, 7200)] == ["3 s", "2 min", "2.0 h"]
    assert asked(Path("nowhere"))[0].seconds_tried() > 0
    assert Store(Path("nowhere")).learner("x") is None
