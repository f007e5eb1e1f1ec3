"""What `add` says and asks: the look in a few lines, questions with their default, bytes as they come."""

import re
import sys
import time
from collections.abc import Callable

from pipelines.sources import Look

SHOWN_CLASSES = 8
FLAGS = {
    "source.label.image_column": "--image-column",
    "source.label.column": "--label-column",
    "source.label.layout": "--layout",
    "source.label.table": "--table",
    "source.options.config": "--config",
    "source.options.split": "--split",
    "source.options.revision": "--revision",
}


def say(line: str) -> None:
    """Print a line; signs that a terminal would obey become `?`."""
    print("".join(sign if sign.isprintable() else "?" for sign in line), flush=True)


def in_flags(message: str) -> str:
    """A message that names fields of a card, with the flags that set them."""
    for name, flag in FLAGS.items():
        message = re.sub(rf"{re.escape(name)}\b", flag, message)
    return re.sub(r"\bsource\.options\.(\w+)", r"--option \1=...", message)


def ask(question: str, default: str, check: Callable[[str], str] = str) -> str:
    """Ask on the terminal until the answer passes `check`, which may change it; Enter takes the default."""
    while True:
        try:
            answer = input(f"{question} [{default}]: ").strip()
        except EOFError:
            print()
            return default
        try:
            return check(answer or default)
        except ValueError as error:
            say(f"  {error}")


def found(look: Look) -> list[str]:
    """How much there is: classes, pictures and bytes as far as they are known, then what was guessed."""
    lines = []
    if look.classes:
        by_size = sorted(look.classes.items(), key=lambda item: (-item[1], item[0]))
        (largest, most), (smallest, least) = by_size[0], by_size[-1]
        spread = f"smallest class {least} ({smallest}), largest {most} ({largest})" if least < most else f"{most} in each class"
        lines.append(f"{amount(look)}; {spread}")
        named = ", ".join(f"{name} {size}" for name, size in by_size[:SHOWN_CLASSES])
        lines.append(f"classes: {named}{', ...' if len(by_size) > SHOWN_CLASSES else ''}")
    elif amount(look):
        lines.append(amount(look))
    return lines + list(look.said)


def amount(look: Look) -> str:
    """Classes, pictures and bytes, as far as they are known."""
    parts = []
    if look.classes is not None:
        parts.append(counted(len(look.classes), "class", "classes"))
    if look.records is not None:
        parts.append(counted(look.records, "picture", "pictures"))
    if look.bytes is not None:
        parts.append(size(look.bytes))
    return ", ".join(parts)


def sentence(look: Look, name: str) -> str:
    """The description of a source that has none of its own."""
    pictures = "Pictures" if look.records is None else counted(look.records, "picture", "pictures")
    classes = "" if look.classes is None else f" in {counted(len(look.classes), 'class', 'classes')}"
    return f"{pictures}{classes} from {name}."


def counted(number: int, one: str, many: str) -> str:
    """`1 class`, `2 classes`."""
    return f"{number} {one if number == 1 else many}"


def size(count: int) -> str:
    """Bytes as people read them."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


class Fetching:
    """A Meter that shows on a terminal how much came, on one line that is rewritten."""

    def __init__(self) -> None:
        self._expected = self._got = 0
        self._shown = time.monotonic()

    def expect(self, size: int) -> None:
        """So many more bytes will come."""
        self._expected += size

    def got(self, size: int) -> None:
        """So many bytes are here."""
        self._got += size
        if sys.stderr.isatty() and time.monotonic() - self._shown > 0.3:
            self._shown = time.monotonic()
            print(f"\r  {self.line()}\x1b[K", end="", file=sys.stderr, flush=True)

    def line(self) -> str:
        """What is shown."""
        whole = f" of {size(self._expected)}" if self._expected >= self._got else ""
        return f"fetched {size(self._got)}{whole}"

    def close(self) -> None:
        """Nothing more comes."""
        if sys.stderr.isatty() and self._got:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
