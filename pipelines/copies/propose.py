"""Pairs worth a look, without comparing all with all: pictures that agree in some band of their signs meet in a bucket.

Locality-sensitive hashing (Indyk & Motwani 1998) over the signs of real coordinates, with the least certain signs of a query
tried both ways (multi-probe, Lv et al. 2007). A band has as many bits as keep buckets small for this many pictures, and of a
bucket that is full all the same only a window is taken, so the work grows with the number of pictures.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

BANDS = 16
PROBES = 2  # least certain bits of a band that are tried both ways
FEWEST_BITS, MOST_BITS = 10, 22  # of a band
SPARE_BITS = 2  # of a band, beyond those that would put one picture into each bucket
PLACE_BITS = 31  # the bits of a number that a place within a band takes
WINDOW = 32  # members of a bucket that a query meets at most

Floats = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]


def codes_of(values_NK: Floats) -> Codes:
    """Signs of at most 64 coordinates as bits [N], coordinate 0 the highest."""
    bits = np.zeros((len(values_NK), 64), bool)
    bits[:, : values_NK.shape[1]] = values_NK > 0
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


@dataclass(frozen=True)
class Buckets:
    """Pictures by the bands of their codes, for queries with codes of the same coordinates.

    `places_LK`: for each band the coordinates (0 to 63) that it looks at.
    """

    codes_M: Codes
    places_LK: npt.NDArray[np.int64]

    @cached_property
    def tables(self) -> list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]]:
        """Of each band where each bucket starts [2 ** K + 1], and the pictures in bucket order [M]."""
        size = 1 << self.places_LK.shape[1]
        found = []
        for places_K in self.places_LK:
            keys = band_keys(self.codes_M, places_K)
            starts = np.zeros(size + 1, np.int32)
            starts[1:] = np.cumsum(np.bincount(keys, minlength=size))
            found.append((starts, np.argsort(keys, kind="stable").astype(np.int32)))
        return found

    def meet(self, codes_N: Codes, sure_NK: Floats, most_bits: int) -> tuple[Indices, Indices, npt.NDArray[np.uint8]]:
        """(query, picture, differing bits) of those that share a bucket and differ in at most `most_bits`.

        Each pair comes once, in order. `sure_NK`: how certain each sign of a query is, e.g. the size of its coordinate.
        Memory is a few hundred bytes a query and band, so many queries are better asked in blocks.
        """
        sure_KN = np.ascontiguousarray(sure_NK.T, np.float32)
        met = [self._band(number, codes_N, sure_KN, most_bits) for number in range(len(self.places_LK))]
        pairs = np.sort(np.concatenate([np.empty(0, np.int64), *met]))
        pairs = pairs[np.diff(pairs, prepend=-1) > 0]
        query, picture = np.divmod(pairs, max(1, len(self.codes_M)))
        return query, picture, np.bitwise_count(codes_N[query] ^ self.codes_M[picture])

    def _band(self, number: int, codes_N: Codes, sure_KN: Floats, most_bits: int) -> Indices:
        """query * M + picture of one band's pairs."""
        places_K = self.places_LK[number]
        starts, members = self.tables[number]
        keys = probed(band_keys(codes_N, places_K), sure_KN[places_K])
        first, sizes = starts[keys], starts[keys + 1] - starts[keys]
        # of a full bucket each query meets a window of its own, so that together they still tie the bucket together
        full = sizes > WINDOW
        spread = (np.arange(len(codes_N), dtype=np.int64)[:, None] * 2_654_435_761) % np.maximum(1, sizes - WINDOW + 1)
        first = np.where(full, first + spread, first).ravel()
        sizes = np.minimum(sizes, WINDOW).ravel()
        query = np.repeat(np.repeat(np.arange(len(codes_N), dtype=np.int64), keys.shape[1]), sizes)
        ends = np.cumsum(sizes, dtype=np.int64)
        within = np.arange(len(query), dtype=np.int64) - np.repeat(ends - sizes, sizes)
        picture = members[np.repeat(first, sizes) + within].astype(np.int64)
        close = np.bitwise_count(codes_N[query] ^ self.codes_M[picture]) <= most_bits
        return np.asarray(query[close] * len(self.codes_M) + picture[close])


def buckets(codes_M: Codes, coordinates: int, first: int = 0, seed: int = 0) -> Buckets:
    """Buckets over codes of which the bits from `first` to `coordinates` mean something."""
    bits = int(np.clip(int(np.ceil(np.log2(max(2, len(codes_M))))) + SPARE_BITS, FEWEST_BITS, MOST_BITS))
    rng = np.random.default_rng(seed)
    places = [np.sort(first + rng.permutation(coordinates - first)[:bits]) for _ in range(BANDS)]
    return Buckets(codes_M, np.stack(places))


def band_keys(codes_N: Codes, places_K: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
    """The bits of a band as a number [N]."""
    keys = np.zeros(len(codes_N), np.uint64)
    for place in places_K:
        keys = (keys << np.uint64(1)) | ((codes_N >> np.uint64(63 - place)) & np.uint64(1))
    return keys.astype(np.int32)


def probed(keys_N: npt.NDArray[np.int32], sure_KN: Floats) -> npt.NDArray[np.int32]:
    """Each key with every choice of its PROBES least certain bits flipped: [N, 2 ** PROBES]. `sure_KN` is not negative."""
    last = len(sure_KN) - 1
    keys = keys_N[:, None]
    for weakest_N in _weakest(sure_KN, min(PROBES, last + 1)):
        flips = (1 << (last - weakest_N)).astype(np.int32)
        keys = np.concatenate([keys, keys ^ flips[:, None]], axis=1)
    return keys


def _weakest(sure_KN: Floats, number: int) -> list[npt.NDArray[np.int32]]:
    """Of each query the places of its `number` smallest coordinates, smallest first; row by row, which numpy does fast."""
    lowest = [np.full(sure_KN.shape[1], 0xFFFFFFFF, np.uint32) for _ in range(number)]
    for place, sure_N in enumerate(sure_KN):
        # numbers that are not negative are ordered as their bits are; the last of these tell the place
        entry_N = (sure_N.view(np.uint32) & np.uint32(0xFFFFFFFF - PLACE_BITS)) | np.uint32(place)
        for rank, low_N in enumerate(lowest):
            lowest[rank], entry_N = np.minimum(low_N, entry_N), np.maximum(low_N, entry_N)
    return [(low_N & np.uint32(PLACE_BITS)).astype(np.int32) for low_N in lowest]
