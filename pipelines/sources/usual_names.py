"""What people call the field that holds a class, and the one that holds a picture's address, the best sign first."""

from collections.abc import Iterable, Mapping

LABELS = (
    "label_name",
    "class_name",
    "category_name",
    "label",
    "class",
    "category",
    "label_text",
    "species",
    "labels",
    "classes",
    "target",
    "cls",
    "y",
)
ADDRESSES = (
    "url",
    "image_url",
    "img_url",
    "picture_url",
    "uri",
    "image",
    "img",
    "picture",
    "photo",
    "path",
    "file_name",
    "file",
)


def usual(names: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """Those of `names` that are wanted, in the order of `wanted`; case, spaces and dashes make no difference."""
    by_form: Mapping[str, str] = {_form(name): name for name in reversed(list(names))}
    return [by_form[form] for form in map(_form, wanted) if form in by_form]


def _form(name: str) -> str:
    return name.strip().lower().replace(" ", "").replace("-", "").replace("_", "")
