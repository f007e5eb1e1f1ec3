"""Plain frames around pictures: how much of a picture lies within what somebody put around it."""

import numpy as np
import numpy.typing as npt

from pipelines.copies.store import ThumbRows
from pipelines.copies.thumbs import SIDE, Bytes

PLAIN = 2.0  # grey levels that a row of a frame deviates at most
ALIKE = 4.0  # grey levels between the rows of one frame
THICKEST = SIDE // 4
BLOCK = 512


def own_share(thumbs: ThumbRows) -> npt.NDArray[np.float64]:
    """Share of each picture that lies within its plain frame, 1 where there is none on all four sides [N]."""
    parts = [_shares(thumbs.take(slice(start, start + BLOCK)).grey_NHW) for start in range(0, len(thumbs), BLOCK)]
    return np.concatenate([np.empty(0), *parts])


def _shares(grey_NHW: Bytes) -> npt.NDArray[np.float64]:
    sides = [grey_NHW, grey_NHW[:, ::-1], grey_NHW.swapaxes(1, 2), grey_NHW.swapaxes(1, 2)[:, ::-1]]
    top, bottom, left, right = (_thickness(side[:, :THICKEST].astype(np.float32)) for side in sides)
    framed = np.minimum.reduce([top, bottom, left, right]) > 0
    # the row in which the frame ends is mixed with the picture: it counts as frame, so that a framed copy never seems larger
    share = (1 - (top + bottom + 2) / SIDE) * (1 - (left + right + 2) / SIDE)
    return np.where(framed, share, 1.0)


def _thickness(rows_NTW: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """Plain rows of one grey from the first on [N]."""
    means = rows_NTW.mean(2)
    plain = (rows_NTW.std(2) <= PLAIN) & (np.abs(means - means[:, :1]) <= ALIKE)
    return np.asarray(np.where(plain.all(1), rows_NTW.shape[1], np.argmin(plain, axis=1)))
