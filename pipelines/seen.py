"""Which names were seen, in about 30 bytes a name."""

import hashlib
import struct
from array import array

FULL = 0.8  # share of the slots that may be taken
FEWEST = 1 << 10


class Seen:
    """A set of texts that keeps 128 bits of BLAKE2b of each.

    Two texts are taken for one only if these are equal, which nobody can bring about with less than 2**64 attempts.
    """

    def __init__(self) -> None:
        self._count = 0
        self._resize(FEWEST)

    def __len__(self) -> int:
        return self._count

    def add(self, text: str) -> bool:
        """Whether the text is new; it is seen from then on."""
        digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        one, two = struct.unpack("<2Q", digest)
        one = one or 1  # 0 marks an empty slot
        first, second, mask = self._first, self._second, self._mask
        slot = one & mask
        while there := first[slot]:
            if there == one and second[slot] == two:
                return False
            slot = (slot + 1) & mask
        first[slot], second[slot] = one, two
        self._count += 1
        if self._count > FULL * mask:
            self._grow()
        return True

    def _resize(self, slots: int) -> None:
        self._mask = slots - 1
        self._first = array("Q", bytes(8 * slots))
        self._second = array("Q", bytes(8 * slots))

    def _grow(self) -> None:
        old = zip(self._first, self._second, strict=True)
        self._resize(2 * (self._mask + 1))
        first, second, mask = self._first, self._second, self._mask
        for one, two in old:
            if one:
                slot = one & mask
                while first[slot]:
                    slot = (slot + 1) & mask
                first[slot], second[slot] = one, two
