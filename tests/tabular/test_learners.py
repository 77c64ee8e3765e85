"""What all tabular learners do, and ROMMEO-Q on plays whose outcome can be computed by hand."""

import pickle
from typing import Any

import numpy as np
import pytest
from plays import feed, random_play

from rommeo_rllib.tabular import LEARNERS, ROMMEOQ, ROMMEOQEMP, exact

ONE = np.zeros(1, np.intp)


# -- All learners ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("sizes", [(3, (2,)), (2, (3, 4)), (1, (2,))])
def test_policies_stay_distributions(name: str, sizes: tuple[int, tuple[int, ...]]) -> None:
    own, others = sizes
    learner = LEARNERS[name](own, others, n_states=4, trials=7, seed=0)
    for seed in range(5):
        random_play(learner, seed, 20)
        states = np.random.default_rng(seed).integers(4, size=7)
        policy = learner.probabilities(states)
        assert policy.shape == (7, own)
        np.testing.assert_allclose(policy.sum(-1), 1.0)
        assert (policy >= 0).all()
        actions = learner.act(states)
        assert actions.shape == (7,)
        assert (policy[np.arange(7), actions] > 0).all()
        model = learner.opponent_model(states)
        if model is not None:
            assert model.shape == (7, np.prod(others))
            np.testing.assert_allclose(model.sum(-1), 1.0)


@pytest.mark.parametrize("name", LEARNERS)
def test_equal_seeds_learn_equally_and_others_do_not(name: str) -> None:
    policies = []
    for seed in (1, 1, 2):
        learner = LEARNERS[name](3, [3], trials=50, seed=seed)
        zeros, ends = np.zeros(50, np.intp), np.ones(50, bool)
        for _ in range(5):
            actions = learner.act(zeros)
            learner.observe(zeros, actions, actions[:, None], actions * 5.0, zeros, ends)
        policies.append(learner.act(zeros))
    np.testing.assert_array_equal(policies[0], policies[1])
    assert (policies[0] != policies[2]).any()


@pytest.mark.parametrize("name", LEARNERS)
def test_a_pickled_learner_goes_on_alike(name: str) -> None:
    settings: dict[str, Any] = {"batch_size": 4} if hasattr(LEARNERS[name], "state_value") else {}
    learner = LEARNERS[name](3, [2], n_states=2, trials=6, seed=0, **settings)
    random_play(learner, 0, 30)
    copy = pickle.loads(pickle.dumps(learner))
    for each in (learner, copy):
        random_play(each, 1, 30)
    states = np.array([0, 1, 0, 1, 0, 1])
    np.testing.assert_array_equal(learner.probabilities(states), copy.probabilities(states))
    np.testing.assert_array_equal(learner.act(states), copy.act(states))


@pytest.mark.parametrize("name", LEARNERS)
def test_plays_in_one_state_and_trial_leave_the_others_alone(name: str) -> None:
    learner = LEARNERS[name](3, [3], n_states=2, trials=2, seed=0, initial_q=0.0)
    before = learner.probabilities(np.array([1, 1])).copy()
    for _ in range(30):
        learner.observe(
            np.array([0, 0]),
            np.array([2, 1]),
            np.array([[2], [1]]),
            np.array([9.0, -9.0]),
            np.array([0, 0]),
            np.array([True, True]),
        )
    assert learner.plays == 30
    np.testing.assert_allclose(learner.probabilities(np.array([1, 1])), before, atol=1e-12)
    here = learner.probabilities(np.array([0, 0]))
    if name != "Lenient-Q":  # Which is still exploring, its temperature being high.
        assert here[0].argmax() == 2
    if name != "Distributed-Q":  # Which has nothing better than what it began with.
        assert here[1, 1] < here[0, 2]


# -- ROMMEO-Q --------------------------------------------------------------------------------------


def test_rommeo_q_acts_by_equations_10_and_11() -> None:
    learner = ROMMEOQ(3, [2], seed=0, alpha=2.0, kl_coeff=0.5, learning_rate=1.0, initial_q=0.0)
    for action, other, reward in [(0, 0, 4.0), (1, 1, -3.0), (2, 1, 5.0), (2, 1, 5.0)]:
        feed(learner, action, other, reward)
    q = np.array([[4.0, 0.0], [0.0, -3.0], [0.0, 5.0]])
    np.testing.assert_allclose(learner.q[0, 0], q)
    prior = np.array([0.25, 0.75])
    np.testing.assert_allclose(learner.opponent_prior(ONE)[0], prior)
    policy = exact.conditional_policy(q, 2.0)
    np.testing.assert_allclose(learner.conditional_policy(ONE)[0], policy)
    model = prior * np.exp(q / 2.0).sum(0) ** (2.0 / 0.5)
    model /= model.sum()
    np.testing.assert_allclose(learner.opponent_model(ONE)[0], model)
    np.testing.assert_allclose(learner.probabilities(ONE)[0], policy @ model)


def test_rommeo_q_emp_believes_the_frequency() -> None:
    learner = ROMMEOQEMP(3, [2], seed=0, alpha=2.0, learning_rate=1.0, initial_q=0.0)
    for other in (0, 0, 0, 1):
        feed(learner, 0, other, 7.0 * other)
    np.testing.assert_allclose(learner.opponent_model(ONE)[0], [0.75, 0.25])
    policy = exact.conditional_policy(learner.q[0, 0], 2.0)
    np.testing.assert_allclose(learner.probabilities(ONE)[0], policy @ [0.75, 0.25])


def test_alpha_is_a_schedule_over_plays() -> None:
    learner = ROMMEOQ(2, [2], alpha={"initial": 10.0, "final": 2.0, "decay_steps": 4})
    seen = []
    for _ in range(6):
        seen.append(learner.alpha)
        feed(learner, 0, 0, 1.0)
    assert seen == [10.0, 8.0, 6.0, 4.0, 2.0, 2.0]


def test_target_of_a_play_that_goes_on_is_the_soft_value() -> None:
    learner = ROMMEOQ(2, [2], n_states=2, gamma=0.9, alpha=0.5, learning_rate=1.0, initial_q=0.0)
    learner.q[0, 1] = [[3.0, 1.0], [0.0, 2.0]]
    value = learner.state_value(np.array([1]))[0]
    expected = exact.state_value(
        exact.best_response_value(learner.q[0, 1], 0.5), np.array([0.5, 0.5])
    )
    assert value == pytest.approx(expected)
    learner.observe(
        ONE, np.array([1]), np.array([[0]]), np.array([2.0]), np.array([1]), np.array([False])
    )
    assert learner.q[0, 0, 1, 0] == pytest.approx(2.0 + 0.9 * expected)


def test_target_table_is_copied_after_an_interval() -> None:
    learner = ROMMEOQ(2, [2], learning_rate=1.0, initial_q=0.0, target_update_interval=3)
    for play in range(1, 7):
        feed(learner, 0, 0, float(play))
        assert learner.target_q[0, 0, 0, 0] == {1: 0, 2: 0, 3: 3, 4: 3, 5: 3, 6: 6}[play]


def test_prior_counts_a_sliding_window() -> None:
    learner = ROMMEOQ(2, [3], prior_window=4)
    for other in (0, 0, 0, 1, 1, 2):
        feed(learner, 0, other, 0.0)
    np.testing.assert_allclose(learner.opponent_prior(ONE)[0], [0.25, 0.5, 0.25])


def test_prior_is_uniform_before_the_first_play_and_pseudo_counts_smooth_it() -> None:
    np.testing.assert_allclose(ROMMEOQ(2, [4]).opponent_prior(ONE)[0], 0.25)
    learner = ROMMEOQ(2, [2], prior_pseudo_count=1.0)
    feed(learner, 0, 0, 0.0)
    np.testing.assert_allclose(learner.opponent_prior(ONE)[0], [2 / 3, 1 / 3])


def test_replay_learns_from_old_plays_and_forgets_beyond_its_capacity() -> None:
    learner = ROMMEOQ(2, [2], seed=0, batch_size=64, learning_rate=1.0, replay_capacity=2)
    feed(learner, 0, 0, 5.0)
    learner.q[:] = 0.0
    feed(learner, 1, 1, 7.0)
    assert learner.q[0, 0].tolist() == [[5.0, 0.0], [0.0, 7.0]]
    feed(learner, 1, 0, 3.0)
    learner.q[:] = 0.0
    feed(learner, 1, 0, 3.0)
    assert learner.q[0, 0].tolist() == [[0.0, 0.0], [3.0, 0.0]]


def test_batch_that_draws_a_play_twice_moves_q_twice() -> None:
    learner = ROMMEOQ(2, [2], batch_size=3, learning_rate=0.5, initial_q=0.0)
    feed(learner, 0, 0, 8.0)
    assert learner.q[0, 0, 0, 0] == pytest.approx(7.0)


def test_large_replay_of_plays_that_go_on_keeps_what_followed() -> None:
    settings: dict[str, Any] = {
        "n_states": 3,
        "gamma": 0.5,
        "learning_rate": 1.0,
        "target_update_interval": 10**9,
    }
    learner = ROMMEOQ(2, [2], trials=2, seed=0, batch_size=400, initial_q=0.0, **settings)
    learner.target_q[:, 2] = 10.0
    value = learner.state_value(np.array([2, 2]))
    for _ in range(80):  # More than the memory's first size.
        learner.observe(
            np.array([0, 1]),
            np.array([0, 1]),
            np.array([[0], [1]]),
            np.array([1.0, 2.0]),
            np.array([2, 2]),
            np.array([False, True]),
        )
    assert learner.q[0, 0, 0, 0] == pytest.approx(1.0 + 0.5 * value[0])
    assert learner.q[1, 1, 1, 1] == pytest.approx(2.0)
