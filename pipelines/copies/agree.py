"""How well two pictures agree once one is laid over the other: structural similarity where there is something to see.

Wang, Bovik, Sheikh & Simoncelli (2004) for the similarity of a window, Wang & Li (2011) for weighting windows by what they
tell: paper around a drawing says nothing. Brightness and contrast of the whole picture are taken out first.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.copies.align import FINE, Laid, lay, samples, small
from pipelines.copies.thumbs import PATCHES, Bytes

Floats = npt.NDArray[np.float32]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
WINDOW = 5  # px of the grid
AREAS = 4  # a side; where windows are gathered for the worst agreement
LEAST_GAIN, MOST_GAIN = 0.5, 2.0
LEAST_NOISE, MOST_NOISE = 1.5, 8.0  # grey levels that coding may add to a pixel of the grid ...
NOISE_AT_1_PX = 480.0  # ... which averages it over ever more pixels of an ever larger picture
COLOURLESS = 4.0  # levels of colour anywhere, up to which a picture is grey
COLOUR_NOISE = 5.0  # levels that coding may add to a colour
COLOUR_SLACK = 0.1  # of the agreement of colours that coarse coding may cost
GREY_GAIN = 1.25  # a colour picture and its grey copy are equally bright
BENDS = 4.0  # by how much the energy of bends is smaller than that of the edges that make them
ENOUGH, ENOUGH_MOVED = 6.0, 15.0  # windows that tell something, below which agreement may be chance
DOUBT = 0.25  # what is taken off where nothing tells anything
INEXACT = 0.02  # of similarity, from which on it may be chance
MOVING = 0.1  # what is taken off for a factor e of scale or a shift by half a side
MISPLACING = 2.0  # what is taken off for as much of a placement as neither a cut nor a frame explains


def judge(
    first: tuple[Floats, Bytes], second: tuple[Floats, Bytes], placement_P4: Floats, sides: tuple[Floats, Floats]
) -> Floats:
    """Agreement, 0 to 1 [P], of pairs of thumbnails laid by their placements: grey [P, H, W] and colours [P, K, K, 3] of each.

    `sides`: px of the pictures they were made of, the root of width times height.
    """
    if not len(placement_P4):
        return np.zeros(0, np.float32)
    laid = lay(first[0], small(second[0], FINE), placement_P4)
    noise = np.clip(NOISE_AT_1_PX / np.minimum(*sides), LEAST_NOISE, MOST_NOISE).astype(np.float32)
    found = tone(laid)
    alike, tells = similarity(laid, found, noise)
    colours = colour_agreement(first[1], second[1], placement_P4, found.gain_P)
    scale, shift = np.log(placement_P4[:, 0::2]), np.abs(placement_P4[:, 1::2])
    moved = np.maximum(np.abs(scale).max(1), shift.max(1))
    same = structure(alike, tells)
    agreement = np.minimum(same, np.minimum(1, colours + COLOUR_SLACK))
    # what a picture can tell must outnumber the four ways in which it may be moved to fit
    free = np.minimum(1, 20 * moved)
    need = ENOUGH + (ENOUGH_MOVED - ENOUGH) * free
    # what lies there unmoved and is the same to the last level is no chance, however little it shows
    doubt = DOUBT * np.maximum(free, np.clip((1 - same) / INEXACT, 0, 1))
    told = (telling(laid, noise) > 1).sum((1, 2)) / WINDOW**2
    agreement -= doubt * np.clip(1 - told / need, 0, 1) + MOVING * moved
    agreement -= MISPLACING * _unexplained(scale, shift, np.asarray(1 / np.minimum(*sides), np.float32))
    return np.asarray(np.clip(agreement, 0, 1), np.float32)


def _unexplained(scale_P2: Floats, shift_P2: Floats, pixel_P: Floats) -> Floats:
    """How much of a placement, beyond a pixel, cannot come of cutting a picture or of framing it [P].

    A cut of a share s moves by 1 - s at most, a frame likewise; and no picture is cut in one direction and framed in the other.
    """
    allowed = np.abs(np.exp(scale_P2) - 1) + pixel_P[:, None]
    beyond = np.maximum(shift_P2 - allowed, 0).max(1)
    both_ways = np.where(scale_P2.prod(1) < 0, np.abs(scale_P2).min(1), 0)
    return np.asarray(beyond + np.maximum(both_ways - pixel_P, 0), np.float32)


def telling(laid: Laid, noise_P: Floats) -> Floats:
    """What each window tells beyond a slope, bits [P, S, S]: edges and grain, which a soft blot has none of."""
    calm = noise_P[:, None, None] ** 2
    bends = [np.square(side - box(side, 3) / np.float32(9)) for side in (laid.first_PSS, laid.second_PSS)]
    return np.asarray(np.log2(1 + box(added(bends), WINDOW) / WINDOW**2 / calm * BENDS) * laid.inside_PSS, np.float32)


def colour_agreement(first_PKKC: Bytes, second_PKKC: Bytes, placement_P4: Floats, gain_P: Floats) -> Floats:
    """Agreement of colours less their grey, at most 1; 1 where one picture is grey and the other as bright [P]."""
    rows, rows_in = samples(placement_P4[:, 0], placement_P4[:, 1], PATCHES, PATCHES)
    columns, columns_in = samples(placement_P4[:, 2], placement_P4[:, 3], PATCHES, PATCHES)
    pairs = len(placement_P4)
    first = np.matmul(rows, _chroma(first_PKKC).reshape(pairs, PATCHES, PATCHES * 3)).reshape(pairs, PATCHES, PATCHES, 3)
    first = np.matmul(columns[:, None], first)
    second = _chroma(second_PKKC)
    weight = (rows_in[:, :, None] & columns_in[:, None, :]).astype(np.float32)
    count = np.maximum(weight.sum((1, 2)), 1)

    def power(colours: Floats) -> Floats:
        return np.asarray(((colours**2).sum(3) * weight).sum((1, 2)) / count, np.float32)

    both = gain_P**2 * power(first) + power(second)
    apart = power(gain_P[:, None, None, None] * first - second)
    colours = 1 - apart / (both + 2 * COLOUR_NOISE**2)
    strongest = [np.abs(side).max((1, 2, 3)) for side in (first, second)]
    grey, both_grey = np.minimum(*strongest) <= COLOURLESS, np.maximum(*strongest) <= COLOURLESS
    as_bright = np.abs(np.log(gain_P)) <= np.log(GREY_GAIN)
    return np.asarray(np.where(both_grey, 1, np.where(grey, np.where(as_bright, 1, 0.5), colours)), np.float32)


def _chroma(colours_PKKC: Bytes) -> Floats:
    colours = colours_PKKC.astype(np.float32)
    return np.asarray(colours - (colours @ LUMA)[..., None], np.float32)


class Tone(NamedTuple):
    """Brightness and contrast between the pictures of each pair: second = gain * first + offset."""

    gain_P: Floats
    offset_P: Floats


def tone(laid: Laid) -> Tone:
    """Gain and offset that take the first picture's grey to the second's, over pixels that are neither black nor white."""
    first, second = laid.first_PSS, laid.second_PSS
    lively = laid.inside_PSS & (first > 6) & (first < 249) & (second > 6) & (second < 249)
    weight = lively.astype(np.float32)
    count = weight.sum((1, 2))
    scale = np.maximum(count, 1)
    mean_1, mean_2 = (first * weight).sum((1, 2)) / scale, (second * weight).sum((1, 2)) / scale
    one, two = (first - mean_1[:, None, None]) * weight, (second - mean_2[:, None, None]) * weight
    power_1, power_2 = (one**2).sum((1, 2)), (two**2).sum((1, 2))
    # the line that both pictures are equally far from: least squares would shrink the gain with every disagreement
    gain = np.sqrt((power_2 + scale) / (power_1 + scale))
    few = count < 0.05 * first.shape[1] * first.shape[2]
    gain = np.where(few, 1, np.clip(gain, LEAST_GAIN, MOST_GAIN))
    offset = np.where(few, 0, mean_2 - gain * mean_1)
    return Tone(gain.astype(np.float32), offset.astype(np.float32))


def toned(laid: Laid, found: Tone) -> tuple[Floats, Floats]:
    """Both pictures as the brighter-toned one shows them, cut off at black and white as it is."""
    gain, offset = found.gain_P[:, None, None], found.offset_P[:, None, None]
    up = gain >= 1
    first = np.where(up, np.clip(gain * laid.first_PSS + offset, 0, 255), laid.first_PSS)
    second = np.where(up, laid.second_PSS, np.clip((laid.second_PSS - offset) / gain, 0, 255))
    return first.astype(np.float32), second.astype(np.float32)


def box(pictures_PSS: Floats, width: int) -> Floats:
    """Sums over windows of `width` px, edges repeated."""
    reach = width // 2
    padded = np.pad(pictures_PSS, ((0, 0), (reach, reach), (reach, reach)), mode="edge")
    size = pictures_PSS.shape[1]
    rows = added([padded[:, shift : shift + size] for shift in range(width)])
    return added([rows[:, :, shift : shift + size] for shift in range(width)])


def added(parts: Sequence[Floats]) -> Floats:
    """The sum of arrays; numpy's own over an axis of a strided view takes several times as long."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def similarity(laid: Laid, found: Tone, noise_P: Floats) -> tuple[Floats, Floats]:
    """Structural similarity of each window [P, S, S], -1 to 1, and how much it tells [P, S, S], bits.

    `noise_P`: grey levels that coding alone may add to a pixel of the grid.
    """
    first, second = toned(laid, found)
    inside = laid.inside_PSS.astype(np.float32)
    count = np.maximum(box(inside, WINDOW), 1)
    mean_1, mean_2 = box(first * inside, WINDOW) / count, box(second * inside, WINDOW) / count
    var_1 = np.maximum(box(first * first * inside, WINDOW) / count - mean_1**2, 0)
    var_2 = np.maximum(box(second * second * inside, WINDOW) / count - mean_2**2, 0)
    both = box(first * second * inside, WINDOW) / count - mean_1 * mean_2
    calm = noise_P[:, None, None] ** 2
    apart = (mean_1 - mean_2) ** 2
    alike = (2 * both + calm) / (var_1 + var_2 + calm)
    level = 1 - np.minimum(1, apart / (var_1 + var_2 + 9 * calm))
    tells = np.log2(1 + (var_1 + var_2 + apart) / calm) * inside
    return np.asarray(alike * level, np.float32), np.asarray(tells, np.float32)


def structure(alike_PSS: Floats, tells_PSS: Floats) -> Floats:
    """The smaller of the mean similarity and that of the area where it is worst, each window counted by what it tells [P]."""
    total = np.maximum(tells_PSS.sum((1, 2)), 1e-6)
    mean = (alike_PSS * tells_PSS).sum((1, 2)) / total
    tells, alike = _areas(tells_PSS), _areas(alike_PSS * tells_PSS)
    # an area that tells next to nothing is judged with the rest of the picture
    rest = (total / AREAS**2)[:, None, None]
    worst = ((alike + mean[:, None, None] * rest) / (tells + rest)).min((1, 2))
    return np.asarray(np.minimum(mean, worst), np.float32)


def _areas(windows_PSS: Floats) -> Floats:
    """Sums over areas of a quarter of the side, half overlapping."""
    size = windows_PSS.shape[1] // (2 * AREAS)
    rows = added([windows_PSS[:, shift::size] for shift in range(size)])
    sums = added([rows[:, :, shift::size] for shift in range(size)])
    return np.asarray(sums[:, :-1, :-1] + sums[:, 1:, :-1] + sums[:, :-1, 1:] + sums[:, 1:, 1:], np.float32)
