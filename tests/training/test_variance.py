"""Parts of a contrast's variance: without bias on made chance, and what one seed or a lacking one leaves."""

import numpy as np
import pytest
from made_values import alone, chance, of_arrays, values

from training.measure.variance import parts, training_deviation_G

COUNT, SEEDS, EPISODES = 800, 3, 20


def test_each_part_is_right_on_average() -> None:
    table = chance(COUNT, SEEDS, EPISODES, seed=0.3, episode=1.0, rest=2.0)
    found = parts(of_arrays([table], alone(COUNT)), np.eye(COUNT))
    rest = 2.0**2 / (SEEDS * EPISODES)
    true = {"rest": rest, "seed": 0.3**2 / SEEDS + rest, "episode": 1.0**2 / EPISODES + rest}
    for name, each in (("rest", found.rest_MG), ("seed", found.seed_MG), ("episode", found.episode_MG)):
        assert each[:, 0].mean() == pytest.approx(true[name], rel=0.1), name
    whole = 0.3**2 / SEEDS + 1.0**2 / EPISODES + rest
    assert found.unbiased_MG[:, 0].mean() == pytest.approx(whole, rel=0.1)
    assert found.mean_MG[:, 0].var() == pytest.approx(whole, rel=0.15)  # and that is what means do vary by
    assert (found.variance_MG >= found.episode_MG).all()


def test_held_out_domains_share_their_seeds_and_not_their_episodes() -> None:
    both = [chance(COUNT, SEEDS, EPISODES, seed=0.0, episode=1.0, rest=0.0, draw=draw) for draw in (1, 2)]
    by_seed = chance(COUNT, SEEDS, 1, seed=0.5, episode=0.0, rest=0.0, draw=3)
    found = parts(of_arrays([table + by_seed for table in both], alone(COUNT)), np.eye(COUNT))
    assert found.unbiased_MG[:, 2].mean() == pytest.approx(0.5**2 / SEEDS + 1.0 / EPISODES / 2, rel=0.1)
    assert found.mean_MG[:, 2] == pytest.approx(found.mean_MG[:, :2].mean(axis=1))


def test_what_all_subsets_share_is_not_in_their_difference() -> None:
    shared = chance(1, SEEDS, EPISODES, seed=1.0, episode=1.0, rest=1.0)
    found = parts(of_arrays([np.concatenate([shared, shared - 0.25])], ["a", "b"]), np.array([[1.0, -1.0]]))
    assert found.mean_MG[0, 0] == pytest.approx(0.25)
    assert found.variance_MG[0, 0] == pytest.approx(0.0, abs=1e-12)


def test_degrees_are_those_of_what_varies() -> None:
    by_seed = parts(of_arrays([chance(1, 3, 50, seed=1.0, episode=0.0, rest=0.0)], ["a"]), np.eye(1))
    assert by_seed.degrees_MG[0, 0] == pytest.approx(2)
    by_episode = parts(of_arrays([chance(1, 3, 50, seed=0.0, episode=1.0, rest=0.0)], ["a"]), np.eye(1))
    assert by_episode.degrees_MG[0, 0] == pytest.approx(49)
    assert parts(values({"a": 0.5}), np.eye(1)).degrees_MG[0, 0] == np.inf


def test_one_seed_tells_nothing_of_seeds() -> None:
    one = of_arrays([chance(2, 1, 10, seed=1.0, episode=0.1, rest=0.1)], ["a", "b"])
    found = parts(one, np.array([[1.0, -1.0]]))
    assert found.seed_MG[0, 0] == found.rest_MG[0, 0] == 0
    assert found.variance_MG[0, 0] == found.episode_MG[0, 0] > 0
    assert training_deviation_G(one) is None


def test_a_contrast_takes_the_seeds_that_all_its_subsets_have() -> None:
    table = chance(3, 3, 5, seed=1.0, episode=1.0, rest=1.0)
    trained = np.array([[True, True, True], [True, False, True], [False, True, False]])
    found = of_arrays([table], ["a", "b", "c"], trained)
    said = parts(found, np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0]]))
    assert said.seeds_M.tolist() == [2, 1]
    by_hand = [(table[0] - table[1])[[0, 2]].mean(), (table[0] - table[2])[1].mean()]
    assert said.mean_MG[:, 0] == pytest.approx(by_hand)
    with pytest.raises(ValueError, match=r"no seed was trained for all of \{b\} to \{c\} \(2 subsets\)"):
        parts(found, np.array([[0.0, 1.0, -1.0]]))


def test_the_deviation_of_a_training_is_pooled_over_subsets() -> None:
    found = training_deviation_G(of_arrays([chance(400, 3, 4, seed=0.5, episode=3.0, rest=0.0)], alone(400)))
    assert found is not None
    assert found[0] == pytest.approx(0.5, rel=0.1)
