"""Copies of pictures, found in three steps: equal bytes or pixels; hashes and features that propose; pixels that confirm.

`thumbs` is what pictures are compared by and `store` where it lies, `turns` the eight ways to lay a square, `waves` the cosine
coefficients behind the hashes, `propose` the pairs worth a look, `align` and `agree` the look, `find` the three in a row;
`frames` tells a picture from what somebody put around it.
"""

from pipelines.copies.find import PAIRS, agreements, pairs_between, pairs_within
from pipelines.copies.frames import own_share
from pipelines.copies.seen import Seen
from pipelines.copies.store import ThumbRows
from pipelines.copies.thumbs import THUMB_BYTES, thumb

__all__ = ["PAIRS", "THUMB_BYTES", "Seen", "ThumbRows", "agreements", "own_share", "pairs_between", "pairs_within", "thumb"]
