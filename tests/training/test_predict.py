"""Prediction from folders: what a user types, sees, and is told."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from made_pictures import picture
from test_train import SETTINGS

from pipelines.encoders import Encoder
from pipelines.encoding.pixels import Pixels
from pipelines.layout import Layout
from training.__main__ import main
from training.about import calibrations_of, read_about
from training.calibration import Calibration
from training.learner import Learner, save_learner
from training.predict import QUERIES, scored
from training.shape import shape_of

CLASSES = ("flag", "glyph", "shape")  # what they show is told apart by any encoder
SHOTS = (2, 4, 3)  # of each class
CALIBRATION = {"n_way": 3, "n_shot": 2, "temperature": 0.5, "episodes": 60, "error_before": 0.2, "error": 0.031}


def folders(root: Path, counts: tuple[int, ...], first: int) -> Path:
    """Pictures of three painted domains, in a folder each."""
    for name, count in zip(CLASSES, counts, strict=True):
        (root / name).mkdir(parents=True)
        for sample in range(first, first + count):
            picture(f"{name}s", 0, sample).save(root / name / f"{sample}.png")
    return root


def save(layout: Layout, change: dict[str, Any] | None = None, **settings: Any) -> None:
    encoding = {"encoder": "embedded", "encoder_digest": Encoder.load(layout.encoder).digest, "tensor": "features"}
    learner = Learner(shape_of(SETTINGS.model_copy(update=settings), 256))
    save_learner(learner, layout.model, {"encoding": encoding, "calibration": [CALIBRATION]} | (change or {}))


@pytest.fixture
def project(tmp_path: Path, encoder_file: Path) -> Layout:
    layout = Layout(tmp_path)
    layout.encoder.parent.mkdir()
    shutil.copy(encoder_file, layout.encoder)
    layout.model.parent.mkdir()
    save(layout)
    folders(tmp_path / "known", SHOTS, 0)
    folders(tmp_path / "asked", (2, 2, 2), 20)
    return layout


def say(layout: Layout, *more: str, support: str = "known", query: str = "asked") -> int:
    words = ["predict", "--support", str(layout.root / support), "--query", str(layout.root / query), *more]
    return main(words, layout.root)


def refused(layout: Layout, capsys: pytest.CaptureFixture[str], **folders: str) -> str:
    capsys.readouterr()
    assert say(layout, **folders) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_labels_with_probabilities_and_what_they_are_worth(project: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(project.root.rglob("*"))
    assert say(project) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    words = lines[0].split()
    assert words[0] == "flag/20.png"
    assert words[1] == words[2]
    shares = [float(word) for word in words[3::2]]
    assert sorted(words[2::2]) == sorted(CLASSES)
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(1.0, abs=0.002)
    right = sum(line.split("/")[0] == line.split()[1] for line in lines[:6])
    assert right == 6  # the pictures are easy to tell
    assert lines[6] == f"accuracy {right / 6:.3f}: {right} of 6 pictures"
    told = "calibrated on 60 validation episodes of the train domains (3-way 2-shot; here 3-way 3-shot)"
    assert lines[7] == f"{told}: expected calibration error .031"
    assert sorted(project.root.rglob("*")) == before, "predicting writes nothing"


def test_json_holds_every_probability_and_nothing_else_is_on_stdout(
    project: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(project.root / "asked" / "shape", project.root / "flat")
    assert say(project, "--json", query="flat") == 0
    out, err = capsys.readouterr()
    found = [json.loads(line) for line in out.splitlines()]
    assert [line["picture"] for line in found] == ["20.png", "21.png"]
    for line in found:
        assert sum(line["probabilities"].values()) == pytest.approx(1.0)
        assert next(iter(line["probabilities"])) == line["label"]
    assert "accuracy" not in err
    assert "calibrated on 60" in err


def test_the_temperature_sharpens_and_the_label_stays(project: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    def tops() -> list[tuple[str, float]]:
        capsys.readouterr()
        assert say(project, "--json") == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        return [(line["label"], line["probabilities"][line["label"]]) for line in lines]

    sharp = tops()
    save(project, {"calibration": []})
    plain = tops()
    assert [label for label, _ in sharp] == [label for label, _ in plain]
    assert all(share > other for (_, share), (_, other) in zip(sharp, plain, strict=True))
    assert say(project) == 0
    assert capsys.readouterr().out.endswith("not calibrated: no validation episodes\n")


def test_folders_that_are_no_class_and_supports_among_the_queries_are_said(
    project: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    (project.root / "asked" / "shape").rename(project.root / "asked" / "inbox")
    shutil.copy(project.root / "known" / "flag" / "0.png", project.root / "asked" / "flag" / "again.png")
    assert say(project) == 0
    out = capsys.readouterr().out
    assert "of 5 pictures; 2 lie in no folder of a class" in out
    assert "1 of the query pictures are supports too, byte by byte" in out


def test_queries_do_not_see_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    learner = Learner(shape_of(SETTINGS, 16)).eval()
    support_SD, query_QD = torch.randn(7, 16, generator=generator), torch.randn(QUERIES + 5, 16, generator=generator)
    label_S = torch.tensor([0, 1, 2, 2, 2, 1, 0])
    whole_QW = scored(learner, support_SD, label_S, query_QD, 3)
    assert whole_QW.shape == (QUERIES + 5, 3)
    torch.testing.assert_close(scored(learner, support_SD, label_S, query_QD[-3:], 3), whole_QW[-3:])


def test_what_is_wrong_with_folders_is_one_line(project: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    root = project.root
    assert "nowhere: no such folder" in refused(project, capsys, support="nowhere")
    assert "nowhere: no such folder" in refused(project, capsys, query="nowhere")
    (root / "empty").mkdir()
    assert "expected pictures (.jpg, .png, ...), found none" in refused(project, capsys, query="empty")
    assert "each of two classes or more, found 0" in refused(project, capsys, support="empty")
    (root / "single" / "flag").mkdir(parents=True)
    shutil.copy(root / "known" / "flag" / "0.png", root / "single" / "flag")
    assert "each of two classes or more, found 1" in refused(project, capsys, support="single")
    (root / "single" / "shape").mkdir()
    assert "single/shape: expected a picture of this class" in refused(project, capsys, support="single")
    assert "'20.png' outside of any" in refused(project, capsys, support="asked/flag")
    (root / "asked" / "flag" / "20.png").write_bytes(b"no picture")
    assert "asked/flag/20.png: not a picture of a known format" in refused(project, capsys)


def test_what_is_wrong_with_the_learner_is_one_line(project: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    other = {"encoding": {"encoder": "embedded", "encoder_digest": "f" * 64, "tensor": "features"}}
    save(project, other)
    assert "trained on features of encoder embedded ffffffff, found" in refused(project, capsys)
    save(project, {"encoding": {"encoder": "conv", "encoder_digest": "f" * 64, "tensor": "pixels"}})
    assert "trained on pixels of encoder conv ffffffff, found" in refused(project, capsys)
    save(project, {"encoding": {"encoder": "conv", "encoder_digest": Pixels().digest, "tensor": "pixels"}})
    assert "reads features, encoder conv makes pixels; train it again" in refused(project, capsys)
    save(project, {"encoding": None})
    assert "does not say which encoder" in refused(project, capsys)
    save(project, {"calibration": [{"n_way": 3}]})
    assert "expected calibrations of" in refused(project, capsys)
    save(project, n_way=2, readout="linear", label_codes="learnable")
    assert "learnable label codes are for 2 ways, found 3-way episodes" in refused(project, capsys)
    project.model.write_bytes(b"torn")
    assert "expected a learner as safetensors" in refused(project, capsys)
    project.model.unlink()
    assert "no such learner; `dvc repro` trains one" in refused(project, capsys)


def test_a_class_folder_may_be_a_link(project: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    (project.root / "linked").mkdir()
    for name in CLASSES:
        (project.root / "linked" / name).symlink_to(project.root / "known" / name)
    assert say(project, "--json", support="linked") == 0
    linked = capsys.readouterr().out
    assert say(project, "--json") == 0
    assert capsys.readouterr().out == linked


def test_more_ways_than_trained_on_work_with_drawn_codes(project: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    save(project, n_way=2, label_codes="elmes")
    assert say(project) == 0
    assert "calibrated on" in capsys.readouterr().out


def test_calibrations_survive_the_file(project: Layout) -> None:
    assert calibrations_of(read_about(project.model), project.model) == [Calibration(**CALIBRATION)]
