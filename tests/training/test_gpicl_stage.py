"""Stage gpicl: which phase a model comes to, its yardsticks, what is written, shown in the report and refused."""

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from curated import curated_project
from made_project import make_project
from torch import nn
from torch.nn.functional import cross_entropy, normalize

from pipelines.gpicl_settings import Diagram, Gpicl, Remedies
from pipelines.layout import Layout
from pipelines.params import load_params
from training.__main__ import main
from training.collection import DomainTensors
from training.episodes import generator_for
from training.flows import outputs
from training.gpicl.judge import ends, right, summary
from training.gpicl.kept import Kept
from training.gpicl.phases import phase_of
from training.gpicl.run import Ground, field_of, gpicl, run_all, trials_of
from training.gpicl.stage import gpicl_main, middle, numbers, write_gpicl
from training.gpicl.trial import Trial, batch_of, plateau, run_trial
from training.gpicl.yardsticks import HIDDEN_UNITS, WEIGHTS, sgd_mlp, shown_before
from training.report import write_report
from training.report.gpicl import gpicl_section

ROOT = Path(__file__).parents[2]
NONE = Diagram(log2_tasks=[])
SMALL = Gpicl(
    n_way=2,
    context=8,
    inputs=4,
    projection=6,
    log2_tasks=3,
    width=8,
    layers=1,
    steps=10,
    batch=4,
    sequences=20,
    remedies=Remedies(biased=[0.5], batch=[8]),
    diagram=Diagram(log2_tasks=[0, 3], widths=[8], seeds=[0, 1], steps=10),
)
PLAIN = Trial("pairs", 12, 32, 2, 160, 32, 0.0, 0)


def gaussian(name: str, classes: int, images: int, seed: int) -> DomainTensors:
    """Classes apart from each other by more than their images are."""
    generator = torch.Generator().manual_seed(seed)
    mean_C1D = torch.randn(classes, 1, 6, generator=generator)
    features_ND = normalize((mean_C1D + 0.2 * torch.randn(classes, images, 6, generator=generator)).flatten(0, 1), dim=1)
    class_N = torch.arange(classes).repeat_interleave(images)
    count = len(class_N)
    return DomainTensors(name, features_ND, class_N, torch.arange(count), ("train",) * count, tuple(map(str, range(classes))))


GROUND = Ground([gaussian("one", 6, 16, 1), gaussian("two", 5, 14, 2)], [gaussian("held", 6, 16, 3)], SMALL)


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return gpicl(GROUND) | {"device": "cpu"}


def of(first: float, end: float, gain: float | None = None) -> dict[str, Any]:
    won = end - first if gain is None else gain
    values = {"first": first, "end": end, "gain": won}
    return {name: {"mean": value, "low": value - 0.02, "high": value + 0.02} for name, value in values.items()}


@pytest.mark.parametrize(
    ("seen", "unseen", "phase"),
    [
        (of(0.25, 0.26), of(0.25, 0.25), "untrained"),
        (of(0.99, 1.0), of(0.25, 0.25), "memorisation"),
        (of(0.62, 0.91), of(0.25, 0.30), "memorisation"),
        (of(0.31, 0.59), of(0.25, 0.25), "identification"),
        (of(0.31, 0.59), of(0.25, 0.35), "identification"),  # less than half of what it reaches on seen tasks
        (of(0.27, 0.59), of(0.26, 0.56), "learning"),
        (of(0.27, 0.59), of(0.56, 0.56), "identification"),  # high from the start: the context brings nothing
    ],
)
def test_a_phase_is_read_off_seen_and_unseen_tasks(seen: dict[str, Any], unseen: dict[str, Any], phase: str) -> None:
    assert phase_of(seen, unseen, 0.25) == phase


def test_few_tasks_are_memorised_and_many_teach_to_learn() -> None:
    """The whole point, in a few seconds: the same model and steps, 1 task or 4096, judged on a domain it never saw."""
    ground = Ground(GROUND.train, GROUND.held_out, SMALL.model_copy(update={"sequences": 128, "log2_tasks": 12}))
    field = field_of(ground)
    many = run_trial(PLAIN, ground.settings, field)
    assert many["phase"] == "learning"
    assert many["unseen_domains"]["end"]["low"] > 0.75  # chance is one half
    assert many["unseen_domains"]["gain"]["low"] > 0.15
    assert many["plateau"] is not None
    one = run_trial(Trial("pairs", 0, 32, 2, 160, 32, 0.0, 0), ground.settings, field)
    assert one["phase"] == "memorisation"
    assert one["seen"]["first"]["mean"] == 1.0
    assert one["unseen_domains"]["end"]["high"] < 0.65


def test_a_training_is_a_function_of_its_trial() -> None:
    field = field_of(GROUND)
    short = Trial("transformer", 3, 8, 1, 10, 4, 0.5, 2)
    one, other = (run_trial(short, SMALL, field) for _ in range(2))
    assert one | {"seconds": 0} == other | {"seconds": 0}
    assert [row["step"] for row in one["trace"]] == list(range(1, 11))


def test_bias_keeps_labels_in_place_and_ends_half_way() -> None:
    field = field_of(GROUND)
    plain = Trial("transformer", 3, 8, 1, 100, 64, 0.0, 0)
    for step in (0, 50, 99):
        biased, unbiased = batch_of(replace(plain, biased=1.0), field, step), batch_of(plain, field, step)
        assert torch.equal(biased.x_BTP, unbiased.x_BTP)
        assert torch.equal(biased.y_BT, unbiased.y_BT) == (step >= 50)


def test_no_more_than_so_many_tasks_are_trained_on() -> None:
    """Each task has its own inputs: the images of its classes, less those kept back, under its projection."""
    field = field_of(GROUND)
    few = Trial("transformer", 1, 8, 1, 100, 64, 0.0, 0)
    inputs = torch.cat([batch_of(few, field, step).x_BTP.flatten(0, 1) for step in range(30)])
    units = sum(int(field.train.pools.size_C[classes].sum()) for classes in field.train.tasks.seen(torch.arange(2)).class_BW)
    kept_back = sum(int(field.train.new_C[classes].sum()) for classes in field.train.tasks.seen(torch.arange(2)).class_BW)
    assert len(inputs.unique(dim=0)) == units - kept_back


def test_a_summary_counts_first_end_and_gain() -> None:
    right_NT = np.zeros((4, 16), dtype=bool)
    right_NT[:2, 0] = True
    right_NT[:, 14] = True
    right_NT[:3, 15] = True
    assert ends(16) == slice(14, 16)
    judged = summary(right_NT)
    assert [judged[name]["mean"] for name in ("first", "end", "gain")] == [0.5, 0.875, 0.375]
    assert judged["by_place"] == [0.5, *[0.0] * 13, 1.0, 0.75]
    both = middle([judged, judged | {"first": {"mean": 0.7, "low": 0.6, "high": 0.8}}])
    assert both["first"]["mean"] == pytest.approx(0.6)


def test_sequences_to_judge_by_are_the_same_for_every_model() -> None:
    field = field_of(GROUND)
    one, other = ([part.x_BTP for part in field.sequences(kind, 300, 3)] for kind in ("held", "held"))
    assert [len(part) for part in one] == [256, 44]
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
    always = right(lambda x, y: nn.functional.one_hot(y, 2).float(), field, "held", 300)
    assert always.all()


def test_the_plateau_ends_where_unseen_tasks_rise_for_good() -> None:
    values = (0.25, 0.36, 0.3, 0.36, 0.4)
    trace = [{"step": 10.0 * place, "unseen": value} for place, value in enumerate(values, 1)]
    assert plateau(trace, 0.25) == 40
    assert plateau(trace[:3], 0.25) is None


def test_the_mlp_descends_by_the_gradient() -> None:
    """Against autograd, step by step, for each of two sequences."""
    generator = torch.Generator().manual_seed(1)
    support_BSD, label_BS = torch.randn(2, 5, 3, generator=generator), torch.randint(4, (2, 5), generator=generator)
    query_BQD = torch.randn(2, 2, 3, generator=generator)
    found_BQW = sgd_mlp(support_BSD, label_BS, query_BQD, 4, rate=0.3, steps=7)
    for row in range(2):
        first = generator_for(0, WEIGHTS)
        mlp = nn.Sequential(nn.Linear(3, HIDDEN_UNITS), nn.ReLU(), nn.Linear(HIDDEN_UNITS, 4))
        with torch.no_grad():
            mlp[0].weight.copy_((torch.randn(3, HIDDEN_UNITS, generator=first) * (2 / 3) ** 0.5).T)
            mlp[2].weight.copy_((torch.randn(HIDDEN_UNITS, 4, generator=first) * HIDDEN_UNITS**-0.5).T)
            mlp[0].bias.zero_()
            mlp[2].bias.zero_()
        descent = torch.optim.SGD(mlp.parameters(), lr=0.3)
        for _ in range(7):
            descent.zero_grad()
            cross_entropy(mlp(support_BSD[row]), label_BS[row]).backward()
            descent.step()
        torch.testing.assert_close(found_BQW[row], mlp(query_BQD[row]), rtol=1e-4, atol=1e-5)


def test_yardsticks_are_judged_after_powers_of_two_and_at_the_end() -> None:
    assert shown_before(32) == [1, 2, 4, 8, 16, 28, 29, 30, 31]
    assert shown_before(8) == [1, 2, 4, 7]


def test_a_workers_copy_of_the_ground_gives_the_same_figures(found: dict[str, Any]) -> None:
    ground, field = pickle.loads(pickle.dumps(GROUND)), field_of(GROUND)
    alone = found["models"][1]
    trial = trials_of(SMALL)["models"][1]
    ((_, again),) = run_all(ground, field_of(ground), [trial], 1)
    assert run_trial(trial, SMALL, field) | {"seconds": 0} == again | {"seconds": 0} == alone | {"seconds": 0}


def test_a_run_that_was_cut_off_trains_only_what_is_missing(found: dict[str, Any], tmp_path: Path) -> None:
    few = SMALL.model_copy(
        update={"models": ["transformer", "pairs"], "remedies": Remedies(biased=[], batch=[]), "diagram": NONE}
    )
    ground, told = Ground(GROUND.train, GROUND.held_out, few), list[str]()

    def kept(settings: Gpicl = few) -> Kept:
        return Kept(tmp_path / "kept", [*GROUND.train, *GROUND.held_out], settings, torch.device("cpu"))

    def cut(words: str) -> None:
        raise KeyboardInterrupt(words)

    with pytest.raises(KeyboardInterrupt):
        gpicl(ground, kept=kept(), progress=cut)
    assert len(list((tmp_path / "kept").iterdir())) == 1
    again = gpicl(ground, kept=kept(), progress=told.append)
    assert [words.startswith("kept") for words in told] == [True, False]
    for result, expected in zip(again["models"], found["models"], strict=False):
        assert result | {"seconds": 0} == json.loads(json.dumps(expected)) | {"seconds": 0}
    trial = trials_of(few)["models"][0]
    assert kept().get(trial) is not None
    assert kept(few.model_copy(update={"learning_rate": 0.1})).get(trial) is None
    assert kept(few.model_copy(update={"seeds": 3})).get(trial) is not None
    assert kept().get(replace(trial, steps=11)) is None


def test_a_domain_named_like_a_kind_of_tasks_is_told_in_a_line() -> None:
    with pytest.raises(ValueError, match=r"^domain 'unseen': stage gpicl's tables use that word; name the domain otherwise$"):
        field_of(Ground(GROUND.train, [gaussian("unseen", 6, 16, 3)], SMALL))


def test_each_training_has_its_purpose() -> None:
    trials = trials_of(SMALL.model_copy(update={"seeds": 2}))
    assert [(trial.model, trial.seed) for trial in trials["models"][:3]] == [
        ("transformer", 0),
        ("transformer", 1),
        ("pairs", 0),
    ]
    assert [(trial.biased, trial.batch, trial.steps) for trial in trials["remedies"]] == [(0.5, 4, 10), (0.0, 8, 10)]
    assert {(trial.log2_tasks, trial.seed) for trial in trials["diagram"]} == {(0, 0), (3, 0), (0, 1), (3, 1)}
    assert trials_of(SMALL.model_copy(update={"diagram": NONE}))["diagram"] == []


def test_numbers_and_tables_hold_what_was_found(found: dict[str, Any], tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    write_gpicl(found, layout)
    assert [path for path in outputs("gpicl", layout) if not path.exists()] == []
    written = json.loads(layout.gpicl.read_text())
    assert set(written["models"]) == {"transformer", "pairs", "lstm", "outer_lstm"}
    assert written["models"]["lstm"]["domains"]["held"]["end"] == found["models"][2]["domains"]["held"]["end"]
    assert set(written["diagram"]["2^3"]["width_8"]) == {"seed_0", "seed_1"}
    assert set(written["yardsticks"]["sgd"]) == {"unseen", "held"}
    assert set(written["remedies"]) == {"biased_0.5", "batch_8"}
    rows = {path.name: path.read_text().count("\n") - 1 for path in layout.gpicl.with_suffix("").iterdir()}
    # 4 models on 5 kinds of sequences, 3 yardsticks on 2 after 4 numbers of pairs; 6 traces of 10 looks; 4 cells
    long = {"positions.csv": 4 * 5 * 8 + 3 * 2 * 4, "traces.csv": 6 * 10, "phases.csv": 4}
    assert rows == long | {"unseen_domains.csv": 8, "on_the_way.csv": 10}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    return make_project(tmp_path_factory.mktemp("report"))


def test_the_report_has_the_section_only_where_the_stage_has_run(found: dict[str, Any], project: Layout) -> None:
    project.gpicl.unlink(missing_ok=True)
    assert 'id="gpicl"' not in write_report(project).page.read_text()
    write_gpicl(found, project)
    html = write_report(project).page.read_text()
    section = html.split('<section id="gpicl">')[1].split("</section>")[0]
    row = section.split('<th scope="row">Outer-product LSTM</th>')[1].split("</tr>")[0]
    assert f"{100 * numbers(found)['models']['outer_lstm']['unseen_domains']['end']['mean']:.1f}" in row
    assert section.count('<td class="phase-') == 4
    assert section.count("<svg") >= 4
    assert html.index('href="#gpicl"') < html.index('href="#cost"')


def test_the_section_leaves_out_what_was_not_asked_for(found: dict[str, Any], project: Layout) -> None:
    write_gpicl(found | {"remedies": [], "diagram": []}, project)
    section = gpicl_section(project)
    assert section is not None
    assert section["diagram"] is section["on_the_way"] is None
    assert section["remedies"] == []
    assert len(section["rows"]) == 4 + 3


@pytest.mark.parametrize("broken", ["gpicl/positions.csv", "gpicl/traces.csv", "gpicl.json"])
def test_odd_files_of_the_stage_are_told_in_a_line(found: dict[str, Any], project: Layout, broken: str) -> None:
    write_gpicl(found, project)
    (project.reports / broken).write_text("{}")
    with pytest.raises(ValueError, match=r"^[^\n]+gpicl.json: expected what stage gpicl writes[^\n]+run it again$"):
        gpicl_section(project)


def test_the_domains_of_a_project_are_trained_and_judged_on(tmp_path: Path, encoder_file: Path) -> None:
    layout = curated_project(tmp_path / "project", encoder_file)
    few = SMALL.model_copy(update={"models": ["transformer"], "remedies": Remedies(biased=[], batch=[]), "diagram": NONE})
    made = gpicl_main(load_params(layout.params).model_copy(update={"gpicl": few}), layout, 1)
    assert (made["train"], made["held_out"]) == (["pebbles"], ["leaves"])
    long = few.model_copy(update={"context": 60})
    with pytest.raises(
        ValueError, match=r"^gpicl.context: 60 images of 2 classes need 2 classes with 30[^\n]+'pebbles' has 0 of 6"
    ):
        gpicl_main(load_params(layout.params).model_copy(update={"gpicl": long}), layout, 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"projection": 0}, "gpicl.projection: input should be greater than or equal to 1"),
        ({"log2_tasks": 21}, "gpicl.log2_tasks: input should be less than or equal to 20 (range 0 to 20), found 21"),
        ({"width": 10}, "gpicl: width: expected a multiple of the 4 heads, found 10"),
        ({"models": []}, "gpicl.models: expected at least one model, each once, found []"),
        ({"models": ["gru"]}, "gpicl.models.0: input should be 'transformer', 'pairs', 'lstm' or 'outer_lstm'"),
        (
            {"diagram": {"log2_tasks": [30]}},
            "gpicl.diagram.log2_tasks: expected different whole numbers in 0 to 20, found [30]",
        ),
        ({"remedies": {"biased": [0.0]}}, "gpicl.remedies.biased: expected different shares above 0 and up to 1"),
        ({"batch": 65536, "context": 1024}, "gpicl: batch x context x width: expected at most 25000000 numbers"),
        ({"heads": 3}, "gpicl.heads: unknown field"),
    ],
)
def test_a_wrong_setting_is_one_line_and_status_2(
    change: dict[str, Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = {"domains": {"pebbles": "train", "shells": "held_out"}, "gpicl": change}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    assert main(["gpicl"], tmp_path) == 2
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["params.yaml"]


def test_the_stage_is_outside_of_the_default_target() -> None:
    apart, chain = (yaml.safe_load((ROOT / name).read_text()) for name in ("training/dvc.yaml", "dvc.yaml"))
    stage = apart["stages"]["gpicl"]
    assert "gpicl" not in chain["stages"]
    assert stage["wdir"] == ".."
    assert [name for name in stage["deps"] if name.startswith("training/") and not (ROOT / name).exists()] == []
    assert sorted([*stage["outs"], *stage["metrics"]]) == sorted(str(path) for path in outputs("gpicl", Layout()))
    assert stage["cmd"].endswith("-m training gpicl")
