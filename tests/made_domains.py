"""Small made domains for tests: archives of plain coloured pictures with a class each, their cards and a params.yaml."""

import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageDraw


def picture(hue: int, seed: int, side: int = 40) -> bytes:
    """A picture whose class shows in its colour and number of discs, with enough noise that no two are alike."""
    rng = np.random.default_rng([hue, seed])
    canvas = Image.fromarray(rng.integers(0, 90, (side, side, 3), dtype=np.uint8))
    draw = ImageDraw.Draw(canvas)
    colour = tuple(int(value) for value in np.random.default_rng(hue).integers(120, 255, 3))
    for _ in range(2 + hue % 4):
        x, y = (float(value) for value in rng.uniform(5, side - 5, 2))
        radius = float(rng.uniform(3, 8))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    out = io.BytesIO()
    canvas.save(out, "PNG")
    return out.getvalue()


def write_archive(
    path: Path, classes: int = 6, images: int = 14, offset: int = 0, extra: dict[str, bytes] | None = None
) -> None:
    """A zip of class folders; `offset` makes two archives' pictures different, `extra` adds members."""
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(classes):
            for image in range(images):
                archive.writestr(f"class{number}/{image:03d}.png", picture(offset + number, image))
        for name, data in (extra or {}).items():
            archive.writestr(name, data)


def write_card(root: Path, name: str, **change: Any) -> None:
    """A valid card of a zip `<name>.zip`, less or more what `change` says."""
    card: dict[str, Any] = {
        "id": name,
        "title": f"Made {name}",
        "domain": "made pictures",
        "description": "Discs on noise.",
        "licence": "CC0-1.0",
        "source": {"kind": "archive", "locator": f"{name}.zip"},
    }
    (root / "collections").mkdir(exist_ok=True)
    (root / "collections" / f"{name}.yaml").write_text(yaml.safe_dump(card | change))


def write_params(root: Path, domains: dict[str, str], **sections: Any) -> None:
    """A params.yaml with small budgets, so that a test's chain is quick."""
    params: dict[str, Any] = {
        "domains": domains,
        "sources_folder": ".",
        "allow_licences": "all",
        "curation": {"min_per_class": 5, "max_pixels": 64_000_000, "duplicates": {}},  # DVC needs what a stage names
        "encoding": {"encoder": "embedded", "views": 0},
        "training": {
            "steps": 6,
            "batch": 4,
            "max_shot": 3,
            "n_query": 3,
        },
        "measurement": {"episodes": 20, "steps": 4, "n_shots": [1, 5], "n_query": 5},
        "mechanism": {
            "dimensions": 2,
            "steps": 10,
            "batch": 8,
            "evaluation_tasks": 100,
            "layers": [1],
            "untied_layers": [],
            "seeds": 1,
        },
    }
    (root / "params.yaml").write_text(yaml.safe_dump(params | sections, sort_keys=False))


def make_project(root: Path, roles: dict[str, str], encoder: Path | None = None) -> None:
    """Archives, cards and params.yaml for these domains, each with pictures of its own; a fitted encoder where one is given."""
    if encoder is not None:
        (root / "features").mkdir()
        shutil.copy(encoder, root / "features" / "encoder.safetensors")
    for number, name in enumerate(roles):
        write_archive(root / f"{name}.zip", offset=10 * number)
        write_card(root, name)
    write_params(root, roles)
