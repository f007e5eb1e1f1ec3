"""The store of features: the same rows wherever they lie."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from training import store
from training.store import FeatureStore

CPU = torch.device("cpu")


@given(
    sizes=st.lists(st.integers(0, 6), min_size=1, max_size=5).filter(lambda sizes: sum(sizes) > 0),
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=3),
    pixels=st.booleans(),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=60, deadline=None)
def test_gathering_is_indexing_one_matrix(sizes: list[int], shape: list[int], pixels: bool, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    whole = torch.randint(0, 256, (sum(sizes), 3), generator=generator)
    whole_ND = whole.to(torch.uint8) if pixels else whole.float()
    rows_X = torch.randint(0, sum(sizes), shape, generator=generator)
    for resident in (True, False):
        found = FeatureStore(torch.split(whole_ND, sizes), CPU, resident=resident)
        assert found.offsets == np.cumsum([0, *sizes]).tolist()
        assert found.gather(rows_X).dtype == whole_ND.dtype
        assert torch.equal(found.gather(rows_X), whole_ND[rows_X])


def test_a_file_that_is_mapped_is_read_where_it_lies(tmp_path: Path) -> None:
    rows_ND = np.arange(40, dtype=np.float32).reshape(10, 4)
    rows_ND.tofile(tmp_path / "rows")
    mapped_ND = torch.from_numpy(np.memmap(tmp_path / "rows", np.float32, "r+", shape=(10, 4)))
    found = FeatureStore([mapped_ND, mapped_ND], CPU, resident=False)
    assert found._parts[0].data_ptr() == mapped_ND.data_ptr()
    assert found.gather(torch.tensor([[9, 10], [19, 0]])).tolist() == rows_ND[[[9, 0], [9, 0]]].tolist()


@pytest.mark.parametrize(("free", "resident"), [(159, False), (160, True)])
def test_features_stay_outside_of_memory_that_is_half_full_with_them(
    free: int, resident: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "free_memory", lambda device: free)
    assert FeatureStore([torch.zeros(3, 4), torch.zeros(2, 4)], CPU).resident == resident  # 80 bytes


def test_free_memory_is_that_of_the_machine() -> None:
    assert 2**20 < store.free_memory(CPU) < 2**50
