"""A user's folders of pictures: supports in a folder for each class, queries in class folders or in none."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.sources.members import is_hidden, is_picture, plain


class Picture(NamedTuple):
    """A picture's file, its name seen from the folder that was given, and the class folder that it lies in."""

    path: Path
    name: str
    folder: str | None


def support_pictures(folder: Path) -> list[Picture]:
    """The pictures of every class folder. Raises ValueError (one line) for fewer than two classes, or an empty one."""
    found = pictures_in(folder)
    if loose := [picture for picture in found if picture.folder is None]:
        raise ValueError(f"{folder}: expected a folder for each class, found {plain(loose[0].name)!r} outside of any")
    counts = Counter(picture.folder for picture in found)
    classes = sorted(part.name for part in folder.iterdir() if part.is_dir() and not is_hidden([part.name]))
    if empty := [name for name in classes if not counts[name]]:
        raise ValueError(f"{folder / plain(empty[0])}: expected a picture of this class (.jpg, .png, ...), found none")
    if len(classes) < 2:
        raise ValueError(f"{folder}: expected a folder for each of two classes or more, found {len(classes)}")
    return found


def query_pictures(folder: Path) -> list[Picture]:
    """The pictures to label. Raises ValueError (one line) if there is none."""
    found = pictures_in(folder)
    if not found:
        raise ValueError(f"{folder}: expected pictures (.jpg, .png, ...), found none")
    return found


def pictures_in(folder: Path) -> list[Picture]:
    """Every picture below a folder by its suffix, class by class; hidden files are none.

    Raises ValueError (one line) if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    tops = sorted(folder.iterdir())  # a class folder may be a link, and is looked into all the same
    below = [(path, path.relative_to(folder).as_posix()) for top in tops for path in [top, *sorted(top.rglob("*"))]]
    return [
        Picture(path, name, name.split("/")[0] if "/" in name else None)
        for path, name in below
        if is_picture(name) and path.is_file()
    ]


def labels_of(pictures: Sequence[Picture]) -> list[str]:
    """The class folders' names, in order."""
    return sorted({picture.folder for picture in pictures if picture.folder is not None})
