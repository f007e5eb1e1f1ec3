"""Which column of a Hugging Face table holds the pictures and which the classes, and what a class is called."""

from typing import Any, NamedTuple

from pipelines.cards import Label

IMAGE_NAMES = ("image", "img", "picture")
LABEL_NAMES = ("label", "labels", "class", "category", "cls")


class Columns(NamedTuple):
    """Names of the columns; `field` is one within the label's struct (written column:field), else None; so for the group."""

    image: str
    label: str
    field: str | None = None
    group: str | None = None
    group_field: str | None = None

    @property
    def spec(self) -> str:
        """The label column as a card says it."""
        return f"{self.label}:{self.field}" if self.field else self.label

    def feature(self, features: Any) -> Any:
        """The label's feature."""
        return features[self.label][self.field] if self.field else features[self.label]

    def group_feature(self, features: Any) -> Any:
        """The group's feature; None where there is no such column."""
        if self.group is None:
            return None
        return features[self.group][self.group_field] if self.group_field else features[self.group]


def choose(features: Any, label: Label, where: str, paths: bool = False) -> Columns:
    """The columns of the card, else by type, else by name; with `paths`, a picture may be a text that names its file.

    Raises ValueError (one line: where, the columns that there are) if they are missing or not to be told apart.
    """
    images = [name for name, feature in features.items() if _is_image(feature)]
    if not images and paths:
        images = [name for name in features if name in (*IMAGE_NAMES, "file_name", "path") and _is_text(features[name])]
    image = _pick("image_column", label.image_column, images, IMAGE_NAMES, features, where)
    if not (_is_image(features[image]) or (paths and _is_text(features[image]))):
        raise ValueError(f"{where}: column {image!r} holds no pictures; columns: {listed(features)}")
    wanted, _, field = (label.column or "").partition(":")
    classes = [name for name, feature in features.items() if type(feature).__name__ == "ClassLabel"]
    named = [name for name in features if name in LABEL_NAMES and name != image]
    column = _pick("column", wanted or None, classes or named, LABEL_NAMES, features, where)
    if column == image or not _is_label(_inner(features[column], field)):
        raise ValueError(f"{where}: column {label.column or column!r} holds no labels; columns: {listed(features)}")
    if label.group_column is None:
        return Columns(image, column, field or None)
    group, _, group_field = label.group_column.partition(":")
    _pick("group_column", group, [], (), features, where)
    if group == image or not _is_label(_inner(features[group], group_field)):
        raise ValueError(f"{where}: column {label.group_column!r} holds no groups; columns: {listed(features)}")
    return Columns(image, column, field or None, group, group_field or None)


def label_text(feature: Any, value: Any, where: str) -> str | None:
    """The class in words; None where the row has none (Hugging Face writes -1)."""
    names = getattr(feature, "names", None)
    if value is None or value == "" or (names is not None and value == -1):
        return None
    if names is None or isinstance(value, str):
        return str(value)
    if not 0 <= value < len(names):
        raise ValueError(f"{where}: label {value}, but the column has {len(names)} classes")
    return str(names[value])


def listed(features: Any) -> str:
    """The columns and their types, for a message."""
    return ", ".join(f"{name} ({getattr(feature, 'dtype', type(feature).__name__)})" for name, feature in features.items())


def _pick(field: str, given: str | None, found: list[str], usual: tuple[str, ...], features: Any, where: str) -> str:
    if given is not None:
        if given not in features:
            raise ValueError(f"{where}: source.label.{field}: no column {given!r}; columns: {listed(features)}")
        return given
    choice = found if len(found) == 1 else [name for name in usual if name in found][:1]
    if not choice:
        raise ValueError(
            f"{where}: cannot tell the {field} apart; name it in source.label.{field}; columns: {listed(features)}"
        )
    return choice[0]


def _inner(feature: Any, field: str) -> Any:
    if not field:
        return feature
    return feature.get(field) if isinstance(feature, dict) else None


def _is_image(feature: Any) -> bool:
    """An Image, or what one is stored as: a struct with bytes, or bytes."""
    if isinstance(feature, dict):
        return getattr(feature.get("bytes"), "dtype", "") in ("binary", "large_binary")
    return type(feature).__name__ == "Image" or getattr(feature, "dtype", "") in ("binary", "large_binary")


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", "") in ("string", "large_string")


def _is_label(feature: Any) -> bool:
    kind = str(getattr(feature, "dtype", ""))
    return kind in ("string", "large_string", "bool") or kind.startswith(("int", "uint"))
