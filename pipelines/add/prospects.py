"""What curation and episodes would leave of a domain, told from the sizes of its classes before anything is downloaded."""

from collections.abc import Mapping
from typing import NamedTuple

from pipelines.curation import Splits
from pipelines.params import Params, Role


class Need(NamedTuple):
    """Classes an episode takes, pictures each of them must give, and the parameters that say so."""

    classes: int
    pictures: int
    said_by: str


def prospects(classes: Mapping[str, int], role: Role, params: Params, min_per_class: int | None = None) -> list[str]:
    """Lines for the user: how many classes are too small to be kept, and a warning if too few are left for episodes.

    `classes` gives the pictures of each class, `min_per_class` what the domain's card will say.
    """
    minimum = min_per_class or params.curation.min_per_class
    kept = {name: size for name, size in classes.items() if size >= minimum}
    lines = []
    if len(kept) < len(classes):
        smaller = _count(len(classes) - len(kept), "class has", "classes have")
        lines.append(f"{smaller} fewer than {minimum} pictures and would be set aside as rare (curation.min_per_class)")
    need = _need(role, params)
    able = _able(list(kept.values()), role, params.curation.splits, need)
    if able < need.classes:
        lines.append(_warning(able, len(kept), list(classes.values()), minimum, role, params.curation.splits, need))
    return lines


def _need(role: Role, params: Params) -> Need:
    if role == "held_out":
        return Need(params.measurement.n_way, max(params.measurement.n_shots) + 1, "measurement.n_way and n_shots")
    return Need(params.training.n_way, params.training.max_shot + 1, "training.n_way and max_shot")


def _able(sizes: list[int], role: Role, splits: Splits, need: Need) -> int:
    """How many classes can take part in an episode: of a held-out domain whole, else of the train split."""
    if role == "held_out":
        return sum(size >= need.pictures for size in sizes)
    apart = [round(len(sizes) * share) for share in (splits.validation, splits.test) if share]
    if splits.by != "image" and apart and min(apart) >= splits.min_classes:
        sizes = sorted(sizes)[: len(sizes) - sum(apart)]  # the draw may take the largest
        return sum(size >= need.pictures for size in sizes)
    return sum(size - round(size * splits.validation) - round(size * splits.test) >= need.pictures for size in sizes)


def _warning(able: int, kept: int, sizes: list[int], minimum: int, role: Role, splits: Splits, need: Need) -> str:
    enough = next(
        (n for n in range(minimum - 1, 0, -1) if _able([s for s in sizes if s >= n], role, splits, need) >= need.classes), None
    )
    if enough is not None:
        advice = f"--min-per-class {enough} keeps enough"
    else:
        advice = "the source is too small for them: fewer ways or shots, or more pictures"
    left = _count(kept, "class would be kept", "classes would be kept")
    large = "" if able == kept else f", {able} of them large enough for episodes"
    wanted = f"an episode takes {need.classes} classes of {need.pictures} pictures ({need.said_by})"
    return f"warning: {left}{large}; {wanted}; {advice}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
