"""Label codes: the simplex is one, what is drawn differs from episode to episode and depends on the seed alone."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.training_settings import LabelCodes
from training.label_codes import LabelCodes as Codes
from training.label_codes import drawn_simplex, simplex
from training.noise import keys
from training.shape import Shape

SHAPE = Shape(dimensions=12, max_way=5, width=16, layers=1, heads=2, mlp=32)


@pytest.mark.parametrize("vectors", [2, 5, 64])
def test_the_simplex_is_equiangular(vectors: int) -> None:
    found = simplex(vectors)
    expected = torch.full((vectors, vectors), -1 / (vectors - 1)).fill_diagonal_(1.0)
    torch.testing.assert_close(found @ found.T, expected)


def test_an_episode_gets_different_vectors_and_all_get_their_turn() -> None:
    code_BWE = drawn_simplex(torch.arange(300), 5, 16)
    place_BW = code_BWE.argmax(-1)
    assert all(len(set(places)) == 5 for places in place_BW.tolist())
    assert torch.bincount(place_BW.flatten(), minlength=16).min() > 60  # 93.75 expected


@pytest.mark.parametrize("kind", ["elmes", "random"])
def test_codes_are_drawn_from_the_seed(kind: LabelCodes) -> None:
    codes = Codes(replace(SHAPE, label_codes=kind))
    first = codes(3, 9, torch.tensor([4, 5, 6]))
    assert first.shape == (3, 9, 16)
    torch.testing.assert_close(codes(1, 9, torch.tensor([5])), first[1:2])
    assert not torch.allclose(first[0], first[1])
    assert torch.equal(codes(2, 9), codes(3, 9)[:2])
    assert torch.equal(codes(1, 9)[:, :4], codes(1, 4)) or kind == "random"


@pytest.mark.parametrize("kind", ["elmes", "random"])
@given(n_way=st.integers(6, 16), seed=st.integers(0, 2**31 - 1))
@settings(max_examples=25, deadline=None)
def test_more_ways_than_trained_on_have_codes_that_can_be_told_apart(kind: LabelCodes, n_way: int, seed: int) -> None:
    codes = Codes(replace(SHAPE, label_codes=kind))
    with torch.no_grad():
        codes.project.weight.copy_(torch.eye(16))
        code_BWE = codes(2, n_way, keys(0, 2, seed))
    assert code_BWE.shape == (2, n_way, 16)
    assert 0.5 < float(code_BWE.square().mean().sqrt()) < 1.5  # about as large as a feature's entries
    direction_BWE = torch.nn.functional.normalize(code_BWE, dim=-1)
    apart = (direction_BWE @ direction_BWE.mT)[:, ~torch.eye(n_way, dtype=torch.bool)]
    if kind == "elmes":
        torch.testing.assert_close(apart, torch.full_like(apart, -1 / 15), atol=1e-5, rtol=0)
    else:
        assert float(apart.max()) < 0.98
    assert not torch.equal(code_BWE[0], code_BWE[1])
    torch.testing.assert_close(codes(1, n_way, keys(1, 2, seed)), codes(2, n_way, keys(0, 2, seed))[1:])


@pytest.mark.parametrize(("kind", "most"), [("elmes", 16), ("random", 16), ("learnable", 5)])
def test_ways_beyond_the_codes_are_told_in_a_line(kind: LabelCodes, most: int) -> None:
    codes = Codes(replace(SHAPE, label_codes=kind))
    assert codes(1, most).shape == (1, most, 16)
    with pytest.raises(ValueError, match=f"^the learner's {kind} label codes are for {most} ways, found {most + 1}-way .*; t"):
        codes(1, most + 1)


def test_a_shape_says_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match="at most 16 ways, found n_way 20"):
        replace(SHAPE, label_codes="elmes", max_way=20)
    with pytest.raises(ValueError, match="multiple of the heads"):
        replace(SHAPE, heads=3)
