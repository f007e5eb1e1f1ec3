"""Labels for a user's pictures: class folders in, a label with probabilities for each query picture out.

Shape letters: S supports, Q queries, P numbers in an encoder's row, D features, W ways.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import softmax

from pipelines.curation import Curation
from pipelines.encoding import ImageEncoder, choose
from pipelines.images import Unreadable, decode
from pipelines.layout import Layout
from pipelines.sources.members import plain
from training.about import calibrations_of, encoding_of, read_about
from training.calibration import Calibration, nearest
from training.class_folders import Picture, labels_of, query_pictures, support_pictures
from training.learner import Learner, load_learner
from training.seen import features_of

QUERIES = 256  # at once; no query sees another, so a part of them gets the same scores as all


@dataclass(frozen=True)
class Prediction:
    """Probabilities [Q, W] of the labels for each query picture, and how far to believe them."""

    labels: list[str]
    pictures: list[Picture]
    probability_QW: Tensor
    form: str  # ways and shots of the supports
    calibration: Calibration | None
    known: int  # query pictures whose very bytes are among the supports

    def ranked(self, row: int) -> list[tuple[str, float]]:
        """Every label of a picture with its probability, the likeliest first."""
        found_W = self.probability_QW[row]
        return [(self.labels[at], float(found_W[at])) for at in found_W.argsort(descending=True, stable=True).tolist()]


def predict(layout: Layout, support: Path, query: Path, checkpoint: Path | None = None) -> Prediction:
    """Read both folders and label the queries by the supports.

    Classes may be any number that the label codes allow, with unequal numbers of pictures. Raises ValueError (one line) for
    folders without what is expected, a picture that cannot be read, too many classes, or a learner of another encoder.
    """
    path = checkpoint or layout.model
    if not path.exists():
        raise ValueError(f"{path}: no such learner; `dvc repro` trains one, or name another with --checkpoint")
    supports, queries = support_pictures(support), query_pictures(query)
    labels = labels_of(supports)
    learner, about = load_learner(path), read_about(path)
    learner.codes(1, len(labels))  # more ways than they allow are told before any picture is read
    encoder = encoder_of(about, learner, path, layout)
    (support_SP, given), (query_QP, asked) = encoded(encoder, supports), encoded(encoder, queries)
    support_SD, query_QD = features_of(learner, support_SP), features_of(learner, query_QP)
    label_S = torch.tensor([labels.index(str(picture.folder)) for picture in supports])
    n_shot = len(supports) / len(labels)
    calibration = nearest(calibrations_of(about, path), n_shot)
    scores_QW = scored(learner, support_SD, label_S, query_QD, len(labels))
    if not scores_QW.isfinite().all():
        raise ValueError(f"{path}: its scores of these pictures are not finite numbers; train it again")
    temperature = calibration.temperature if calibration else 1.0
    seen = set(given)
    known = sum(digest in seen for digest in asked)
    form = f"{len(labels)}-way {n_shot:g}-shot" if len(supports) % len(labels) == 0 else f"{len(labels)}-way {n_shot:.1f}-shot"
    return Prediction(labels, queries, softmax(scores_QW.double() / temperature, dim=-1), form, calibration, known)


def encoder_of(about: Mapping[str, Any], learner: Learner, path: Path, layout: Layout) -> ImageEncoder:
    """The encoder of the features that the learner was trained on. Raises ValueError (one line) if it is not at hand."""
    encoding = encoding_of(about, path)
    encoder = choose(encoding["encoder"], layout, offline=False)
    if encoder.digest != encoding["encoder_digest"]:
        wanted, found = encoding["encoder_digest"][:8], encoder.digest[:8]
        raise ValueError(
            f"{path}: trained on {encoding['tensor']} of encoder {encoding['encoder']} {wanted}, found {found} here; train it "
            "again, or predict where it was trained"
        )
    if (encoder.tensor == "pixels") != learner.shape.pixels:
        reads = "pixels" if learner.shape.pixels else "features"
        raise ValueError(f"{path}: reads {reads}, encoder {encoding['encoder']} makes {encoder.tensor}; train it again")
    if not learner.shape.pixels and encoder.row != (learner.shape.dimensions,):
        raise ValueError(
            f"{path}: reads features of {learner.shape.dimensions} dimensions, the encoder's have {encoder.row[0]}"
        )
    return encoder


def encoded(encoder: ImageEncoder, pictures: Sequence[Picture]) -> tuple[Tensor, list[bytes]]:
    """Rows [n, P] of pictures, unit features or pixels for a backbone, and the digest of each file.

    Few pictures are in memory at a time. Raises ValueError naming the first picture that cannot be read.
    """
    digests: list[bytes] = []
    most = Curation().max_pixels

    def images() -> Iterator[Image.Image]:
        for picture in pictures:
            data = picture.path.read_bytes()
            digests.append(hashlib.sha256(data).digest())
            try:
                image = decode(data, most).image
            except Unreadable as error:
                raise ValueError(f"{picture.path}: {error}; mend it or take it out") from None
            yield image

    return torch.from_numpy(encoder.encode(images())).flatten(1), digests


def scored(learner: Learner, support_SD: Tensor, label_S: Tensor, query_QD: Tensor, n_way: int) -> Tensor:
    """Scores [Q, W] of the queries, some at a time."""
    with torch.inference_mode():
        blocks = torch.split(query_QD, QUERIES)
        return torch.cat([learner(support_SD[None], label_S[None], block_QD[None], n_way)[0] for block_QD in blocks])


def as_json(found: Prediction) -> Iterator[str]:
    """A line for each picture: `picture`, `label`, `probabilities` of all labels, and `folder` where it lies in one."""
    for row, picture in enumerate(found.pictures):
        ranked = found.ranked(row)
        line = {"picture": picture.name, "label": ranked[0][0], "probabilities": dict(ranked)}
        yield json.dumps(line | ({} if picture.folder is None else {"folder": picture.folder}), ensure_ascii=True)


def as_text(found: Prediction) -> Iterator[str]:
    """A line for each picture, in columns: its name, its label, and the probabilities from the top."""
    names = [plain(picture.name) for picture in found.pictures]
    labels = [plain(label) for label in found.labels]
    wide, wider = max(map(len, names)), max(map(len, labels))
    for row, name in enumerate(names):
        ranked = [(plain(label), share) for label, share in found.ranked(row)]
        shares = "  ".join(f"{label} {share:.3f}" for label, share in ranked)
        yield f"{name:{wide}}  {ranked[0][0]:{wider}}  {shares}"


def summary(found: Prediction) -> Iterator[str]:
    """What can be said of all pictures together: accuracy, where folders tell the class, and calibration."""
    told = [(row, picture.folder) for row, picture in enumerate(found.pictures) if picture.folder in found.labels]
    if told:
        right = sum(found.ranked(row)[0][0] == label for row, label in told)
        rest = len(found.pictures) - len(told)
        beside = f"; {rest} lie in no folder of a class" if rest else ""
        yield f"accuracy {right / len(told):.3f}: {right} of {len(told)} pictures{beside}"
    if found.known:
        yield f"{found.known} of the query pictures are supports too, byte by byte: what is said of them tells nothing"
    if found.calibration is None:
        yield "not calibrated: no validation episodes"
        return
    fit = found.calibration
    yield (
        f"calibrated on {fit.episodes} validation episodes of the train domains ({fit.n_way}-way {fit.n_shot}-shot; here "
        f"{found.form}): expected calibration error {f'{fit.error:.3f}'.lstrip('0')}"
    )
