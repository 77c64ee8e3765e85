"""Playing: payoff functions, PettingZoo environments, and what goes wrong in either."""

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from rommeo_rllib import envs
from rommeo_rllib.envs import ClimbingGame, CoordinationGrid, MatrixPayoff, StochasticClimbingGame
from rommeo_rllib.envs.climbing_game import CLIMBING_PAYOFFS
from rommeo_rllib.tabular import (
    LEARNERS,
    PR2Q,
    ROMMEOQ,
    ROMMEOQEMP,
    HystereticQ,
    PayoffPlay,
    converged,
    make_learners,
)
from rommeo_rllib.tabular.any_play import AnyPlay
from rommeo_rllib.tabular.environment_play import EnvironmentPlay
from rommeo_rllib.tabular.paper_settings import PAPER_SETTINGS, falling
from rommeo_rllib.tabular.play import mean_payoffs, optimal_joint_actions

CLIMBING = MatrixPayoff(CLIMBING_PAYOFFS)


def share_converged(
    name: str, trials: int, episodes: int, plays: int = 1, **settings: Any
) -> float:
    learners = make_learners(LEARNERS[name], [3, 3], trials=trials, seed=7, **settings)
    history = PayoffPlay(CLIMBING, learners, plays_per_episode=plays).run(episodes)
    return float(converged(history).mean())


# -- Payoff functions ------------------------------------------------------------------------------


@pytest.mark.parametrize("plays", [1, 25])
def test_rommeo_q_finds_the_optimum_by_episode_100(plays: int) -> None:
    settings = {"initial_q": 12.0, "alpha": 1.0, "batch_size": 16}
    assert share_converged("ROMMEO-Q", 300, 100, plays, **settings) >= 0.99


def test_ablation_fails_where_rommeo_q_succeeds() -> None:
    paper = PAPER_SETTINGS
    assert share_converged("ROMMEO-Q", 300, 300, **paper["ROMMEO-Q"]) > 0.95
    assert share_converged("ROMMEO-Q-EMP", 300, 300, **paper["ROMMEO-Q-EMP"]) < 0.05


def test_pr2_q_keeps_up_once_it_is_annealed() -> None:
    published = {**PAPER_SETTINGS["PR2-Q"], "counts_answers": False}
    annealed = {"temperature": falling(0.1)}
    assert share_converged("PR2-Q", 300, 300, **published) < 0.35
    assert share_converged("PR2-Q", 300, 300, **{**published, **annealed}) > 0.95
    # The authors' own, which counts the answers, does not.
    assert share_converged("PR2-Q", 300, 300, **PAPER_SETTINGS["PR2-Q"]) < 0.25
    assert share_converged("PR2-Q", 300, 300, **{**PAPER_SETTINGS["PR2-Q"], **annealed}) < 0.05


def test_learners_of_different_classes_can_meet() -> None:
    learners = [
        ROMMEOQ(3, [3], trials=20, seed=0, initial_q=12.0),
        HystereticQ(3, [3], trials=20, seed=1),
    ]
    history = PayoffPlay(CLIMBING, learners).run(30)
    assert history.rewards.shape == (30, 20)


def test_each_agent_receives_its_own_payoff_and_the_others_actions() -> None:
    def payoff(actions: NDArray[Any]) -> NDArray[np.float64]:
        """100 times the own action, and the opponents' joint action as one index."""
        x, y, z = np.moveaxis(actions, -1, 0)
        return np.stack([100 * x + 4 * y + z, 100 * y + 4 * x + z, 100 * z + 3 * x + y], -1) * 1.0

    learners = make_learners(
        ROMMEOQ, [2, 3, 4], trials=50, seed=0, learning_rate=1.0, initial_q=-1.0, alpha=1e4
    )
    play = PayoffPlay(payoff, learners)
    assert play.optimum.tolist() == [[1, 2, 3]]
    play.run(300)
    for learner in learners:
        assert isinstance(learner, ROMMEOQ)
        own, others = np.indices(learner.q.shape[2:])
        np.testing.assert_array_equal(learner.q[:, 0].max(0), 100 * own + others)
        expected = np.broadcast_to(100 * own + others, learner.q[:, 0].shape)
        assert ((learner.q[:, 0] == expected) | (learner.q[:, 0] == -1.0)).all()


def test_penalty_game_counts_both_optima() -> None:
    payoff = envs.make("penalty_game").payoff  # type: ignore[attr-defined]
    assert optimal_joint_actions(mean_payoffs(payoff, [3, 3])).tolist() == [[0, 0], [2, 2]]


def test_runs_can_be_continued() -> None:
    def start() -> PayoffPlay:
        return PayoffPlay(CLIMBING, make_learners(ROMMEOQ, [3, 3], trials=9, seed=3))

    whole, pieces = start(), start()
    at_once = whole.run(30)
    parts = [pieces.run(10) for _ in range(3)]
    np.testing.assert_array_equal(at_once.rewards, np.concatenate([p.rewards for p in parts]))
    assert pieces.episodes == 30


def test_trace_records_policies_and_opponent_models() -> None:
    learners = make_learners(ROMMEOQEMP, [2, 3], trials=4, seed=0)
    payoff = MatrixPayoff(np.ones((2, 3)))
    history = PayoffPlay(payoff, learners, plays_per_episode=5, trace=True).run(6)
    assert [table.shape for table in history.policies] == [(6, 4, 2), (6, 4, 3)]
    assert [table.shape for table in history.opponent_models] == [(6, 4, 3), (6, 4, 2)]


def test_stochastic_payoffs_are_drawn_and_judged_by_their_mean() -> None:
    game = StochasticClimbingGame("full")
    table = mean_payoffs(game.payoff, [3, 3])
    np.testing.assert_allclose(table[..., 0], CLIMBING_PAYOFFS)
    learners = make_learners(ROMMEOQ, [3, 3], trials=400, seed=0)
    play = PayoffPlay(game.payoff, learners, seed=1)
    rewards = play.run(20).rewards
    allowed = {10, 12, 5, -65, 8, -8, 14, 0, -5, 7, 3}
    assert set(np.unique(rewards)) == allowed
    assert play.optimum.tolist() == [[0, 0]]


def test_stochastic_payoff_without_a_mean_is_sampled() -> None:
    class Noisy:
        stochastic = True

        def __call__(self, actions: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
            return actions + rng.normal(size=actions.shape)

    table = mean_payoffs(Noisy(), [2, 2])
    np.testing.assert_allclose(table[1, 1], [1.0, 1.0], atol=0.15)


@pytest.mark.parametrize(
    ("payoff", "message"),
    [
        (lambda actions: actions.sum(-1) * 1.0, r"returned shape \(9,\).*\(9, 2\)"),
        (lambda actions: np.where(actions == 2, np.nan, 1.0), r"\[0, 2\] is \[1\.0, nan\]"),
        (lambda actions: np.full(actions.shape, np.inf), r"is \[inf, inf\].*finite"),
    ],
)
def test_bad_payoffs_are_named(payoff: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PayoffPlay(payoff, make_learners(ROMMEOQ, [3, 3]))


def test_bad_stochastic_payoff_is_named_when_it_comes() -> None:
    class Breaks:
        stochastic = True

        def mean(self, actions: NDArray[Any]) -> NDArray[np.float64]:
            return np.ones(actions.shape)

        def __call__(self, actions: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
            return np.full(actions.shape, np.nan)

    with pytest.raises(ValueError, match="nan"):
        PayoffPlay(Breaks(), make_learners(ROMMEOQ, [2, 2])).run(1)


def test_more_joint_actions_than_memory_are_refused() -> None:
    with pytest.raises(ValueError, match=r"make 1000000000 joint actions.*GiB"):
        mean_payoffs(lambda actions: actions * 1.0, [1000, 1000, 1000])


def test_learners_that_do_not_fit_are_named() -> None:
    pair = [ROMMEOQ(3, [3], trials=5), ROMMEOQ(3, [3], trials=6)]
    with pytest.raises(ValueError, match=r"trials \[5, 6\]"):
        PayoffPlay(CLIMBING, pair)
    pair = [ROMMEOQ(3, [3]), ROMMEOQ(3, [2])]
    with pytest.raises(ValueError, match=r"learner 1 is \(2,\).*\(3,\)"):
        PayoffPlay(CLIMBING, pair)


# -- Environments ----------------------------------------------------------------------------------


class Corridor(ParallelEnv):
    """Both move right together to earn; observations and actions begin at numbers other than 0."""

    metadata: dict[str, Any] = {"name": "corridor"}  # noqa: RUF012

    def __init__(self, leaves_early: bool = False, reward: float = 1.0) -> None:
        self.possible_agents = ["b", "a"]
        self.agents: list[str] = []
        self._leaves_early = leaves_early
        self._reward = reward
        self._place = 0

    def observation_space(self, agent: str) -> Discrete:
        return Discrete(3, start=5)

    def action_space(self, agent: str) -> Discrete:
        return Discrete(2, start=1 if agent == "a" else 0)

    def reset(self, seed: int | None = None, options: Any = None) -> Any:
        self.agents = self.possible_agents.copy()
        self._place = 0
        return dict.fromkeys(self.agents, 5), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, int]) -> Any:
        agents = self.agents
        assert actions["a"] in (1, 2)
        assert actions["b"] in (0, 1)
        together = actions["a"] == 2 and actions["b"] == 1
        self._place += together
        is_over = self._place == 2
        ends = {agent: is_over or (self._leaves_early and agent == "a") for agent in agents}
        if is_over:
            self.agents = []
        return (
            dict.fromkeys(agents, 5 + self._place),
            dict.fromkeys(agents, self._reward if is_over else -0.1),
            ends,
            dict.fromkeys(agents, False),
            {agent: {} for agent in agents},
        )


@pytest.mark.parametrize("name", LEARNERS)
def test_every_learner_learns_in_an_environment_with_states(name: str) -> None:
    settings: dict[str, Any] = {"learning_rate": 0.5, "gamma": 0.9}
    fields = LEARNERS[name].Settings.__dataclass_fields__
    if "epsilon" in fields:
        settings["epsilon"] = 0.05
    if "alpha" in fields:
        settings["alpha"] = 0.05
    if "temperature" in fields:
        settings["temperature"] = 0.05
    if name == "Distributed-Q":
        settings["epsilon"] = 0.3
    if name == "Lenient-Q":
        settings |= {"temperature_decay": 0.9, "min_temperature": 0.5}
    play = EnvironmentPlay(Corridor, LEARNERS[name], trials=8, seed=0, **settings)
    assert play.agents == ["b", "a"]
    history = play.run(150)
    assert history.returns.shape == history.lengths.shape == (150, 8)
    np.testing.assert_allclose(history.returns, 1.0 - 0.1 * (history.lengths - 1), atol=1e-9)
    late, early = history.lengths[-30:].mean(), history.lengths[:10].mean()
    assert late < 4.5
    assert late <= early


def test_environment_runs_can_be_continued() -> None:
    whole = EnvironmentPlay(CoordinationGrid, PR2Q, trials=3, seed=0)
    pieces = EnvironmentPlay(CoordinationGrid, PR2Q, trials=3, seed=0)
    at_once = whole.run(12)
    parts = [pieces.run(4) for _ in range(3)]
    np.testing.assert_array_equal(at_once.returns, np.concatenate([p.returns for p in parts]))


def test_continuous_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match=r"action_space of player_0 is Box.*Discrete"):
        AnyPlay(lambda: envs.make("max_of_two_quadratics"), ROMMEOQ, trials=2)
    with pytest.raises(ValueError, match=r"observation_space of player_0 is Box.*Discrete"):
        EnvironmentPlay(ClimbingGame, ROMMEOQ)
    bad = Corridor()
    bad.action_space = lambda agent: Box(-1.0, 1.0, (2,))  # type: ignore[assignment, return-value]
    with pytest.raises(ValueError, match=r"action_space of b is Box"):
        EnvironmentPlay(lambda: bad, ROMMEOQ)


def test_agents_that_leave_one_by_one_are_refused() -> None:
    play = EnvironmentPlay(lambda: Corridor(leaves_early=True), ROMMEOQ, seed=0)
    with pytest.raises(ValueError, match=r"agents \['a'\] left an episode before the others"):
        play.run(1)


def test_rewards_that_are_not_finite_are_named() -> None:
    play = EnvironmentPlay(lambda: Corridor(reward=float("nan")), ROMMEOQ, seed=0)
    with pytest.raises(ValueError, match=r"rewards of \['b', 'a'\] are \[nan, nan\]"):
        play.run(1)


def test_any_play_chooses_the_payoff_function_where_there_is_one() -> None:
    assert AnyPlay(ClimbingGame, ROMMEOQ, trials=3).is_payoff
    grid = AnyPlay(CoordinationGrid, ROMMEOQ, trials=3)
    assert not grid.is_payoff
    _, returns, has_converged = grid.run(3)
    assert returns.shape == (3, 3)
    assert has_converged is not None
    assert AnyPlay(Corridor, ROMMEOQ, trials=2, seed=0).run(2)[2] is None
