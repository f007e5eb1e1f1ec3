"""Many short texts in few bytes: joined, with their ends, instead of an object each."""

from array import array
from collections.abc import Iterator

FULL = 0.7  # share of an index's slots that may be taken


class Texts:
    """A list of texts; `size` is their bytes."""

    def __init__(self) -> None:
        self._joined = bytearray()
        self._ends = array("Q", [0])

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, position: int) -> str:
        return self._joined[self._ends[position] : self._ends[position + 1]].decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))

    @property
    def size(self) -> int:
        return len(self._joined)

    def append(self, text: str) -> None:
        self._joined += text.encode("utf-8", "surrogatepass")
        self._ends.append(len(self._joined))


class Index(Texts):
    """Texts that are each there once, found by their content."""

    def __init__(self) -> None:
        super().__init__()
        self._slots = array("L", bytes(array("L").itemsize << 10))  # position + 1; 0: empty

    def find(self, text: str) -> int:
        """The text's position, -1 if it is not there."""
        return self._slots[self._slot(text)] - 1

    def place(self, text: str) -> int:
        """The text's position; it is appended if it is not there."""
        slot = self._slot(text)
        if self._slots[slot]:
            return self._slots[slot] - 1
        self.append(text)
        self._slots[slot] = len(self)
        if len(self) > FULL * len(self._slots):
            self._grow()
        return len(self) - 1

    def _slot(self, text: str) -> int:
        """Where the text is, or where it goes."""
        mask = len(self._slots) - 1
        slot = hash(text) & mask
        while (found := self._slots[slot]) and self[found - 1] != text:
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        self._slots = array("L", bytes(2 * self._slots.itemsize * len(self._slots)))
        mask = len(self._slots) - 1
        for position, text in enumerate(self, start=1):
            slot = hash(text) & mask
            while self._slots[slot]:
                slot = (slot + 1) & mask
            self._slots[slot] = position
