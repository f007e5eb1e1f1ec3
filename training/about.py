"""What a learner's file says of how it came to be: `about` in its metadata, as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from pipelines.training_settings import Training
from training.calibration import Calibration

ENCODING = ("encoder", "encoder_digest", "tensor")  # by which a learner's features, or pixels, are known


def about_training(
    manifest: Mapping[str, Any], settings: Training, shares: Mapping[str, float], calibrations: Sequence[Calibration]
) -> dict[str, Any]:
    """The collection by its digests, the encoder, the settings, each domain's share, and how far scores are probabilities."""
    return {
        "collection": {name: entry["digest"] for name, entry in manifest["domains"].items()},
        "encoding": manifest["encoding"],
        "settings": settings.model_dump(mode="json"),
        "regime": settings.regime,
        "domain_weights": settings.domain_weights,
        "shares": dict(shares),
        "calibration": [asdict(calibration) for calibration in calibrations],
    }


def read_about(path: Path) -> dict[str, Any]:
    """What `about` says. Raises ValueError (one line) if the file is no learner's."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {})["about"])
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path}: expected a learner as safetensors ({' '.join(str(error).split())})") from None
    if not isinstance(about, dict):
        raise ValueError(f"{path}: expected a learner that says how it was trained; train it again")
    return about


def encoding_of(about: Mapping[str, Any], path: Path) -> dict[str, str]:
    """The encoder that a learner was trained on. Raises ValueError (one line) if `about` does not say it."""
    encoding = about.get("encoding")
    if not isinstance(encoding, dict) or not all(isinstance(encoding.get(name), str) for name in ENCODING):
        raise ValueError(f"{path}: does not say which encoder it was trained on; train it again")
    return {name: encoding[name] for name in ENCODING}


def must_read(about: Mapping[str, Any], manifest: Mapping[str, Any], path: Path) -> None:
    """Raises ValueError (one line) unless the learner was trained on the encoder of this collection."""
    learned, here = encoding_of(about, path), manifest["encoding"]
    if any(learned[name] != here[name] for name in ENCODING):
        first, second = (f"{found['encoder']} {found['encoder_digest'][:8]}" for found in (learned, here))
        raise ValueError(f"{path}: trained on encoder {first}, the collection is encoded by {second}; run `dvc repro`")


def calibrations_of(about: Mapping[str, Any], path: Path) -> list[Calibration]:
    """The calibrations that `about` holds. Raises ValueError (one line) if they are none."""
    try:
        return [Calibration(**found) for found in about.get("calibration") or []]
    except TypeError:
        raise ValueError(f"{path}: expected calibrations of {list(Calibration.__annotations__)}; train it again") from None
