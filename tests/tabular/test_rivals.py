"""The rivals of ROMMEO-Q, on plays whose outcome can be computed by hand; and bad settings."""

from typing import Any

import numpy as np
import pytest
from plays import feed

from rommeo_rllib.tabular import (
    FMQ,
    JAL,
    PR2Q,
    ROMMEOQ,
    DistributedQ,
    HystereticQ,
    LenientQ,
    TabularLearner,
    WoLFPHC,
    exact,
)

ONE = np.zeros(1, np.intp)


# -- The rivals ------------------------------------------------------------------------------------


def test_jal_weighs_q_by_the_product_of_the_opponents_frequencies() -> None:
    learner = JAL(2, [2, 2], temperature=None, learning_rate=1.0, initial_q=0.0)
    for others, reward in [((0, 1), 3.0), ((1, 0), 5.0), ((1, 1), -1.0), ((1, 1), -1.0)]:
        feed(learner, 0, others, reward)
    first, second = np.array([0.25, 0.75]), np.array([0.25, 0.75])
    product = np.outer(first, second).ravel()
    np.testing.assert_allclose(learner.opponent_model(ONE)[0], product)
    expected = product @ [0.0, 3.0, 5.0, -1.0]
    assert learner.state_value(ONE)[0] == pytest.approx(max(expected, 0.0))
    np.testing.assert_allclose(learner.probabilities(ONE)[0], [1.0, 0.0])


def test_pr2_q_reasons_about_the_answer_to_each_action() -> None:
    learner = PR2Q(2, [2], temperature=2.0, learning_rate=1.0, initial_q=0.0)
    feed(learner, 0, 0, 6.0)
    feed(learner, 0, 1, -40.0)
    answers = np.exp(np.array([[6.0, -40.0], [0.0, 0.0]]) / 2.0)
    policy = answers.sum(1) / answers.sum()
    np.testing.assert_allclose(learner.probabilities(ONE)[0], policy)
    model = policy @ (answers / answers.sum(1, keepdims=True))
    np.testing.assert_allclose(learner.opponent_model(ONE)[0], model)


def test_fmq_adds_frequency_times_maximum() -> None:
    learner = FMQ(2, [2], temperature=1.0, c=10.0, learning_rate=0.5, initial_q=0.0)
    for reward in (2.0, 1.0, 2.0, 0.0):
        feed(learner, 0, 0, reward)
    q = 0.75  # From 0 halfway to each reward.
    values = np.array([q + 10.0 * 0.5 * 2.0, 0.0])
    np.testing.assert_allclose(learner.probabilities(ONE)[0], exact.softmax(values))
    feed(learner, 0, 0, 3.0)  # A new maximum, seen once in five plays.
    values[0] = 0.5 * (q + 3.0) + 10.0 * 0.2 * 3.0
    np.testing.assert_allclose(learner.probabilities(ONE)[0], exact.softmax(values))


def test_the_authors_jal_plays_the_worst_action_where_values_sum_to_less_than_zero() -> None:
    settings: dict[str, Any] = {"temperature": None, "learning_rate": 1.0, "initial_q": 0.0}
    for normalised, policy in ((False, [0.0, 1.0]), (True, [1.0, 0.0])):
        learner = JAL(2, [2], normalised=normalised, **settings)
        feed(learner, 0, 0, -30.0)
        feed(learner, 1, 0, 5.0)
        np.testing.assert_allclose(learner.probabilities(ONE)[0], policy)
        feed(learner, 0, 0, -3.0)  # Now the sum is above 0.
        np.testing.assert_allclose(learner.probabilities(ONE)[0], [0.0, 1.0])


def test_the_authors_pr2_q_counts_answers() -> None:
    learner = PR2Q(2, [2], learning_rate=1.0, initial_q=0.0, counts_answers=True)
    for own, other, reward in [(0, 0, 6.0), (0, 0, 6.0), (0, 1, -4.0), (1, 1, 2.0)]:
        feed(learner, own, other, reward)
    answers = np.array([[2.0, 1.0], [0.0, 1.0]]) / [[3.1], [1.1]]
    answers /= answers.sum() + 0.1
    values = (np.array([[6.0, -4.0], [0.0, 2.0]]) * answers).sum(1)
    np.testing.assert_allclose(learner.probabilities(ONE)[0], exact.softmax(values))
    np.testing.assert_allclose(learner.opponent_model(ONE)[0], [0.5, 0.5])
    assert learner.state_value(ONE)[0] == pytest.approx(values.max())


def test_the_authors_fmq_goes_on_counting_at_a_new_maximum() -> None:
    learner = FMQ(2, [2], learning_rate=1.0, initial_q=0.0, restarts_count=False)
    for reward in (2.0, 3.0, 1.0, 3.0):
        feed(learner, 0, 0, reward)
    assert (learner.best[0, 0, 0], learner.hits[0, 0, 0]) == (3.0, 3.0)


def test_fmq_learns_a_maximum_below_zero() -> None:
    learner = FMQ(2, [2], learning_rate=1.0, initial_q=0.0)
    feed(learner, 1, 0, -4.0)
    assert learner.best[0, 0, 1] == -4.0
    assert learner.hits[0, 0, 1] == 1.0


def test_wolf_phc_climbs_faster_while_losing() -> None:
    learner = WoLFPHC(3, [2], delta_win=0.02, delta_lose=0.2, epsilon=0.0, learning_rate=1.0)
    learner.q[:] = 0.0
    feed(learner, 0, 0, 1.0)  # The policy equals its average: it does not win.
    np.testing.assert_allclose(learner.policy[0, 0], [1 / 3 + 0.2, 1 / 3 - 0.1, 1 / 3 - 0.1])
    feed(learner, 0, 0, 1.0)  # Now it does better than its average.
    np.testing.assert_allclose(learner.policy[0, 0, 0], 1 / 3 + 0.22)
    for _ in range(200):
        feed(learner, 0, 0, 1.0)
    np.testing.assert_allclose(learner.policy[0, 0], [1.0, 0.0, 0.0], atol=1e-12)


def test_distributed_q_never_forgets_the_best_and_keeps_its_first_optimum() -> None:
    learner = DistributedQ(3, [2], epsilon=0.0)
    feed(learner, 1, 0, 10.0)
    feed(learner, 1, 1, -30.0)
    assert learner.q[0, 0, 1] == 10.0
    feed(learner, 2, 0, 10.0)  # As good, but no better.
    assert learner.policy[0, 0] == 1
    feed(learner, 0, 0, 11.0)
    np.testing.assert_allclose(learner.probabilities(ONE)[0], [1.0, 0.0, 0.0])


def test_hysteretic_q_learns_bad_news_slowly() -> None:
    learner = HystereticQ(2, [2], learning_rate=0.5, decrease_rate=0.1, initial_q=0.0)
    feed(learner, 0, 0, 8.0)
    assert learner.q[0, 0, 0] == pytest.approx(4.0)
    feed(learner, 0, 0, -6.0)
    assert learner.q[0, 0, 0] == pytest.approx(3.0)


def test_lenient_q_forgives_while_hot_and_not_when_cold() -> None:
    settings: dict[str, Any] = {"learning_rate": 1.0, "initial_q": 5.0}
    hot = LenientQ(2, [2], trials=2000, seed=0, max_temperature=2.0, **settings)
    feed(hot, 0, 0, -3.0)
    strict = (hot.q[:, 0, 0] == -3.0).mean()
    assert strict == pytest.approx(1 - np.exp(-1 / 2.0), abs=0.04)
    assert set(np.unique(hot.q[:, 0, 0])) == {-3.0, 5.0}
    np.testing.assert_allclose(hot.temperatures[:, 0], [[2.0 * 0.995, 2.0]] * 2000)
    cold = LenientQ(2, [2], trials=50, seed=0, max_temperature=1e-3, **settings)
    feed(cold, 0, 0, -3.0)
    assert (cold.q[:, 0, 0] == -3.0).all()
    np.testing.assert_allclose(cold.probabilities(np.zeros(50, np.intp)), [[0.0, 1.0]] * 50)
    feed(hot, 1, 0, 9.0)
    assert (hot.q[:, 0, 1] == 9.0).all()


# -- Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"alhpa": 1.0}, r"settings of ROMMEO-Q.*'alhpa'.*Did you mean 'alpha'\?"),
        ({"alpha": -1.0}, r"`alpha` is -1\.0.*above 0"),
        ({"alpha": {"initial": 1.0}}, r"`alpha`.*lacks"),
        ({"gamma": 1.5}, r"`gamma` is 1\.5.*0 to 1"),
        ({"initial_q": (2.0, 1.0)}, r"`initial_q` is \(2\.0, 1\.0\)"),
        ({"initial_q": float("nan")}, r"`initial_q` is nan"),
        ({"batch_size": 0}, r"`batch_size` is 0.*at least 1"),
        ({"prior_window": 1.5}, r"`prior_window` is 1\.5"),
        ({"prior_pseudo_count": -1}, r"`prior_pseudo_count` is -1"),
        ({"target_update_interval": 0}, r"`target_update_interval` is 0"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ROMMEOQ(3, [3], **settings)


@pytest.mark.parametrize(
    ("learner", "settings", "message"),
    [
        (FMQ, {"c": -1.0}, "`c` is -1"),
        (FMQ, {"restarts_count": 1}, "`restarts_count` is 1; allowed: True or False"),
        (JAL, {"normalised": "no"}, "`normalised` is 'no'; allowed: True or False"),
        (PR2Q, {"counts_answers": None}, "`counts_answers` is None; allowed: True or False"),
        (LenientQ, {"temperature_decay": 1.5}, "`temperature_decay` is 1.5.*0 to 1"),
        (LenientQ, {"action_moderation": 0.0}, "`action_moderation` is 0"),
        (WoLFPHC, {"delta_wn": 0.1}, "Did you mean 'delta_win'"),
    ],
)
def test_bad_settings_of_rivals_are_named(
    learner: type[TabularLearner], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        learner(3, [3], **settings)


def test_tables_beyond_memory_are_refused_before_they_are_made() -> None:
    with pytest.raises(ValueError, match=r"opponent_actions=\(100, 100, 100\).*GiB.*trials=1000"):
        ROMMEOQ(100, [100] * 3, trials=1000)


@pytest.mark.parametrize("sizes", [{"n_actions": 0}, {"trials": 0}, {"n_states": 2.5}])
def test_sizes_below_one_are_named(sizes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(sizes))}` is"):
        ROMMEOQ(**{"n_actions": 2, "opponent_actions": [2], **sizes})
