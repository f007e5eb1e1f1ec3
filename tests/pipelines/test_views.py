"""Views: of an image alone, of its size, and each operation does what it says."""

import numpy as np
import pytest
from PIL import Image

from pipelines.encoding import views
from pipelines.encoding.views import border, crop, flip, grey, rotate, shear, view


def picture(width: int = 60, height: int = 40) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_a_view_is_a_function_of_picture_key_and_number() -> None:
    image = picture()
    before = image.tobytes()
    first = [view(image, "a-key", number).tobytes() for number in range(8)]
    assert first == [view(image, "a-key", number).tobytes() for number in range(8)]
    assert len(set(first)) == 8
    assert view(image, "another", 0).tobytes() != first[0]
    assert image.tobytes() == before


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (60, 40), (128, 16)])
def test_views_keep_size_and_mode(size: tuple[int, int]) -> None:
    found = [view(picture(*size), "key", number) for number in range(30)]
    assert {(image.size, image.mode) for image in found} == {(size, "RGB")}


def test_all_operations_are_drawn_three_a_view(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    spied = tuple(lambda image, rng, number=number: drawn.append(number) or image for number in range(len(views.ALL)))
    monkeypatch.setattr(views, "ALL", spied)
    for number in range(200):
        view(picture(), "key", number)
        assert len(set(drawn[-3:])) == 3
    assert len(drawn) == 600
    assert np.bincount(drawn).min() > 50


def test_operations_do_what_they_say() -> None:
    image, rng = picture(), np.random.default_rng(1)
    assert np.array_equal(np.asarray(flip(image, rng)), np.asarray(image)[:, ::-1])
    shades = np.asarray(grey(image, rng))
    assert (shades == shades[..., :1]).all()
    plain = Image.new("RGB", (50, 50), (200, 10, 30))
    for turned in (rotate, shear, crop):  # no black corner comes in
        assert np.abs(np.asarray(turned(plain, rng)).astype(int) - (200, 10, 30)).max() <= 1
    framed = Image.new("RGB", (20, 20), (9, 8, 7))
    framed.paste((255, 255, 255), (1, 1, 19, 19))
    assert border(framed) == (9, 8, 7)
    ramp = Image.fromarray(np.tile(np.arange(100, dtype=np.uint8)[:, None, None] * 2, (1, 100, 3)))
    spans = [np.ptp(np.asarray(crop(ramp, rng)).astype(int)) / 200 for _ in range(300)]
    assert min(spans) > 0.3  # of the height; the smallest share is .2, the flattest crop 3/4
    assert max(spans) <= 1.0
