"""The games: payoffs against hand values, the repeated game around them, their pictures."""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import matplotlib
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiDiscrete, Space
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from pettingzoo.test import parallel_api_test, parallel_seed_test

from rommeo_rllib import envs
from rommeo_rllib.envs import (
    GAMES,
    ClimbingGame,
    MatrixGame,
    MatrixPayoff,
    MaxOfTwoQuadratics,
    RepeatedGame,
    TwoHills,
    make,
    max_of_two_quadratics_payoff,
    rendering,
)

few_examples = settings(max_examples=30, deadline=None)


def box(low: float = -1.0, high: float = 1.0) -> Box:
    return Box(low, high, (1,), np.float32)


def total_payoff(actions: NDArray[Any]) -> NDArray[np.float64]:
    """Each agent's payoff is the sum of all actions."""
    return np.broadcast_to(actions.sum(axis=-1, keepdims=True), actions.shape).astype(float)


class NoisyPayoff:
    stochastic = True

    def __call__(self, actions: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float64]:
        return total_payoff(actions) + rng.normal(size=actions.shape)


def play(game: RepeatedGame, *joint_actions: tuple[Any, ...]) -> list[dict[str, float]]:
    """Reset, then play the joint actions; numbers of Box agents are put into arrays."""
    game.reset(seed=0)
    rewards = []
    for joint_action in joint_actions:
        actions = {
            agent: action if isinstance(space, Discrete) else np.array([action], np.float32)
            for (agent, space), action in zip(game.action_spaces.items(), joint_action, strict=True)
        }
        rewards.append(game.step(actions)[1])
    return rewards


# -- PettingZoo ------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory", [False, True])
@pytest.mark.parametrize("name", GAMES)
@pytest.mark.filterwarnings("error::UserWarning")
def test_games_pass_pettingzoos_own_tests(name: str, memory: bool) -> None:
    parallel_api_test(make(name, memory=memory), num_cycles=60)
    parallel_seed_test(lambda: make(name, memory=memory), num_cycles=60)


@pytest.mark.filterwarnings("error::UserWarning")
def test_mixed_and_stochastic_games_pass_pettingzoos_own_tests() -> None:
    def mixed() -> RepeatedGame:
        return RepeatedGame(NoisyPayoff(), [box(), Discrete(3), box(0, 5)], memory=True)

    parallel_api_test(mixed(), num_cycles=60)
    parallel_seed_test(mixed, num_cycles=60)


def test_games_know_no_ray() -> None:
    for file in Path(inspect.getfile(envs)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            modules = [*names, getattr(node, "module", None) or ""]
            assert not any(module.split(".")[0] in {"ray", "torch"} for module in modules), file


# -- Max of Two Quadratics -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("surface", "actions", "reward"),
    [
        ("paper", (5, 5), 10.0),
        ("authors", (5, 5), 10.0),
        ("paper", (-5, -5), 0.0),
        ("authors", (-5, -5), 0.0),
        ("paper", (4, 7), 5.0),
        ("paper", (-5, 1), -0.8 * 36 / 9),
        ("authors", (-5, 1), -0.8 * 36 / 3),
        ("paper", (10, -10), -0.8 * (225 + 25) / 9),
        ("authors", (10, -10), -0.8 * (225 + 25) / 3),
        ("paper", (0, 0), -0.8 * 50 / 9),
        ("authors", (0, 0), -0.8 * 50 / 3),
    ],
)
def test_max_of_two_quadratics_pays_what_the_formula_says(
    surface: str, actions: tuple[float, float], reward: float
) -> None:
    payoffs = max_of_two_quadratics_payoff(np.array(actions), surface=surface)
    np.testing.assert_allclose(payoffs, [reward, reward], atol=1e-12)
    rewards = play(MaxOfTwoQuadratics(surface), actions)[0]
    np.testing.assert_allclose(list(rewards.values()), [reward, reward], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("surface", ["paper", "authors"])
def test_max_of_two_quadratics_has_its_optima_where_they_belong(surface: str) -> None:
    line = np.linspace(-10, 10, 201)
    grid = np.stack(np.meshgrid(line, line, indexing="ij"), axis=-1)
    payoffs = max_of_two_quadratics_payoff(grid, surface=surface)[..., 0]
    best = np.unravel_index(payoffs.argmax(), payoffs.shape)
    np.testing.assert_allclose(grid[best], [5, 5])
    local = payoffs[45:56, 45:56]
    assert local.max() == pytest.approx(0.0)
    assert np.unravel_index(local.argmax(), local.shape) == (5, 5)


def test_max_of_two_quadratics_acts_in_ten_by_ten_in_float32() -> None:
    game = MaxOfTwoQuadratics()
    assert game.action_space("player_0") == Box(-10, 10, (1,), np.float32)
    assert game.action_space("player_0") is not game.action_space("player_1")


def test_misspelt_surface_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"surface 'papper'.*mean 'paper'.*'authors', 'paper'"):
        MaxOfTwoQuadratics("papper")


@given(arrays(np.float64, (3, 4, 2), elements=st.floats(-10, 10)))
@few_examples
def test_max_of_two_quadratics_keeps_any_leading_axes(actions: NDArray[np.float64]) -> None:
    payoffs = max_of_two_quadratics_payoff(actions)
    assert payoffs.shape == actions.shape
    assert (payoffs <= 10).all()
    for index in np.ndindex(3, 4):
        np.testing.assert_array_equal(payoffs[index], max_of_two_quadratics_payoff(actions[index]))


def test_max_of_two_quadratics_refuses_three_agents() -> None:
    with pytest.raises(ValueError, match=r"\(\.\.\., 2\), got shape \(3,\)"):
        max_of_two_quadratics_payoff(np.zeros(3))


# -- Matrix games ----------------------------------------------------------------------------------


def test_climbing_game_pays_its_matrix() -> None:
    matrix = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]]
    cells = [(row, column) for row in range(3) for column in range(3)]
    for (row, column), rewards in zip(cells, play(ClimbingGame(), *cells), strict=True):
        assert rewards == {"player_0": matrix[row][column], "player_1": matrix[row][column]}


def test_tables_of_one_agent_each_give_each_its_own_payoff() -> None:
    game = MatrixGame([[1, 2, 3], [4, 5, 6]], [[10, 20, 30], [40, 50, 60]])
    assert game.action_spaces == {"player_0": Discrete(2), "player_1": Discrete(3)}
    assert play(game, (1, 2), (0, 1)) == [
        {"player_0": 6.0, "player_1": 60.0},
        {"player_0": 2.0, "player_1": 20.0},
    ]


@given(st.data(), st.lists(st.integers(1, 4), min_size=1, max_size=4), st.booleans())
@few_examples
def test_matrix_payoff_looks_up_any_batch(
    data: st.DataObject, shape: list[int], shared: bool
) -> None:
    n_tables = 1 if shared else len(shape)
    tables = np.arange(n_tables * np.prod(shape), dtype=float).reshape(n_tables, *shape)
    joint_action = st.tuples(*(st.integers(0, n - 1) for n in shape))
    batch = np.array(data.draw(st.lists(joint_action, min_size=1, max_size=6)))
    payoffs = MatrixPayoff(*tables)(batch)
    assert payoffs.shape == batch.shape
    for actions, row in zip(batch, payoffs, strict=True):
        expected = [table[tuple(actions)] for table in tables]
        np.testing.assert_array_equal(row, expected * (len(shape) if shared else 1))


@pytest.mark.parametrize("actions", [[0, 3], [-1, 0], [0.5, 0], [0, 0, 0]])
def test_matrix_payoff_refuses_what_is_no_cell(actions: list[float]) -> None:
    with pytest.raises(ValueError, match="actions must"):
        MatrixPayoff(np.zeros((3, 3)))(np.array(actions))


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ([], "one axis an agent"),
        ([3.0], "one axis an agent"),
        ([np.zeros((2, 0))], "one axis an agent"),
        ([np.zeros((2, 2)), np.zeros((2, 3))], "of one shape"),
        ([np.zeros((2, 2))] * 3, r"one an agent \(2\), got 3"),
        ([[[0.0, np.nan]]], "finite"),
    ],
)
def test_matrix_payoff_refuses_bad_tables(tables: list[Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MatrixPayoff(*tables)


# -- The repeated game -----------------------------------------------------------------------------


@pytest.mark.parametrize("plays", [1, 3])
def test_last_play_truncates_all_agents_and_terminates_none(plays: int) -> None:
    game = ClimbingGame(plays_per_episode=plays)
    for _ in range(2):
        game.reset()
        for number in range(1, plays + 1):
            assert game.agents == ["player_0", "player_1"]
            _, _, terminations, truncations, _ = game.step({"player_0": 0, "player_1": 1})
            assert terminations == {"player_0": False, "player_1": False}
            assert set(truncations.values()) == {number == plays}
        assert game.agents == []


def test_no_play_before_reset_and_after_the_last() -> None:
    game = ClimbingGame(plays_per_episode=1)
    actions = {"player_0": 0, "player_1": 0}
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        game.step(actions)
    game.reset()
    game.step(actions)
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        game.step(actions)


def test_without_memory_the_observation_is_a_constant_one() -> None:
    game = MaxOfTwoQuadratics()
    observations, _ = game.reset()
    after_play = game.step({"player_0": np.zeros(1), "player_1": np.ones(1)})[0]
    for agent in game.possible_agents:
        assert game.observation_space(agent) == Box(0, 1, (1,), np.float32)
        np.testing.assert_array_equal(observations[agent], [1.0])
        np.testing.assert_array_equal(after_play[agent], [1.0])
        assert after_play[agent].dtype == np.float32


def test_memory_shows_the_last_joint_action_one_hot_and_scaled() -> None:
    game = RepeatedGame(total_payoff, [Discrete(3, start=1), box(0, 4), box()], memory=True)
    space = game.observation_space("player_2")
    assert space == Box(np.array([0, 0, 0, -1, -1], np.float32), 1.0, dtype=np.float32)
    for _ in range(2):
        observations, _ = game.reset()
        np.testing.assert_array_equal(observations["player_1"], np.zeros(5))
        actions = {"player_0": 3, "player_1": np.array([1.0]), "player_2": np.array([0.5])}
        observations = game.step(actions)[0]
        for agent in game.possible_agents:
            np.testing.assert_allclose(observations[agent], [0, 0, 1, -0.5, 0.5])
            assert space.contains(observations[agent])
        observations["player_0"][:] = 9.0
        assert observations["player_1"].max() == 1.0


def test_payoff_sees_whole_numbers_and_the_action_as_it_was_played() -> None:
    seen = []

    def payoff(actions: NDArray[Any]) -> NDArray[np.float64]:
        seen.append(actions)
        return np.zeros(actions.shape)

    play(RepeatedGame(payoff, [Discrete(3), Discrete(2)]), (2, 1))
    assert seen[-1].dtype == np.int64
    play(RepeatedGame(payoff, [Discrete(3), box()]), (2, 0.5))
    assert seen[-1].tolist() == [2.0, 0.5]


def test_seed_repeats_the_noise_and_no_seed_goes_on() -> None:
    game = RepeatedGame(NoisyPayoff(), [box(), box()])
    actions = {"player_0": np.zeros(1), "player_1": np.zeros(1)}

    def first_rewards(seed: int | None) -> dict[str, float]:
        game.reset(seed=seed)
        return game.step(actions)[1]

    once = first_rewards(7)
    going_on = first_rewards(None)
    assert first_rewards(7) == once
    assert first_rewards(None) == going_on
    assert once != going_on
    assert once != first_rewards(8)


def test_looking_at_a_stochastic_game_does_not_change_it() -> None:
    def rewards(look: bool) -> list[dict[str, float]]:
        game = RepeatedGame(NoisyPayoff(), [Discrete(2), Discrete(2)], render_mode="ansi")
        game.reset(seed=1)
        result = []
        for _ in range(3):
            result.append(game.step({"player_0": 0, "player_1": 1})[1])
            if look:
                game.render()
        return result

    assert rewards(look=True) == rewards(look=False)


def test_expected_payoffs_average_the_noise() -> None:
    game = RepeatedGame(NoisyPayoff(), [box(), box()])
    actions = np.zeros((50, 50, 2))
    assert game.expected_payoffs(actions).std() == pytest.approx(1 / 8, rel=0.1)


# -- Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("plays", [0, -3, 2.5, True, "25", None])
def test_plays_per_episode_must_be_a_positive_whole_number(plays: Any) -> None:
    with pytest.raises(ValueError, match=rf"`plays_per_episode` is {plays!r}; allowed: an integer"):
        ClimbingGame(plays_per_episode=plays)


@pytest.mark.parametrize(
    "space",
    [Box(-1, 1, (2,)), Box(-1, 1, ()), Box(-np.inf, 1, (1,)), box(1, 1), MultiDiscrete([2, 2])],
    ids=str,
)
def test_unsupported_space_is_named_with_its_agent(space: Space[Any]) -> None:
    with pytest.raises(ValueError, match="player_1 must be Discrete") as error:
        RepeatedGame(total_payoff, [Discrete(2), space])
    assert repr(space) in str(error.value)


def test_a_game_needs_a_player() -> None:
    with pytest.raises(ValueError, match="at least one agent"):
        RepeatedGame(total_payoff, [])


@pytest.mark.parametrize(
    ("payoff", "message"),
    [
        (lambda actions: actions.sum(axis=-1), r"shape \(3,\).*must keep"),
        # Right for one joint action, wrong for a batch of them.
        (lambda actions: np.array([actions[0], actions[1]]), r"shape \(2, 2\).*must keep"),
        (lambda actions: np.full(actions.shape, np.nan), "nan.*finite"),
        (lambda actions: np.full(actions.shape, np.inf), "inf.*finite"),
    ],
)
def test_bad_payoff_fails_at_construction(payoff: Callable[..., Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RepeatedGame(payoff, [box(), box()])


def test_nan_payoff_in_a_play_names_the_joint_action() -> None:
    game = RepeatedGame(lambda a: np.where(a > 0, np.nan, a), [box(), box()])
    with pytest.raises(ValueError, match=r"joint action \[-0.5, 0.5\] is \[-0.5, nan\]"):
        play(game, (-0.5, 0.5))


@pytest.mark.parametrize("action", [3, -1, 1.0, "A", None, np.array([1])])
def test_discrete_action_outside_of_its_space_is_an_error(action: Any) -> None:
    game = ClimbingGame()
    game.reset()
    with pytest.raises(ValueError, match=r"player_1 must lie in Discrete\(3\), got"):
        game.step({"player_0": 0, "player_1": action})


@pytest.mark.parametrize(
    "action",
    [
        np.array([10.001]),
        np.array([-11.0]),
        np.array([np.nan]),
        np.zeros(2),
        0.0,
        "A",
        {},
    ],
    ids=str,
)
def test_box_action_outside_of_its_space_is_an_error_and_not_clipped(action: Any) -> None:
    game = MaxOfTwoQuadratics()
    game.reset()
    with pytest.raises(ValueError, match=r"player_0 must lie in Box\(-10.0, 10.0.*got"):
        game.step({"player_0": action, "player_1": np.zeros(1)})


def test_float32_rounding_at_the_bound_is_forgiven() -> None:
    game = MaxOfTwoQuadratics()
    above = np.nextafter(np.float32(10), np.float32(11))
    play(game, (above, -above))
    assert game.joint_actions.tolist() == [[10.0, -10.0]]


@pytest.mark.parametrize("kind", [int, np.int32, np.int64, np.array])
def test_discrete_action_may_be_any_whole_number(kind: Callable[[int], Any]) -> None:
    assert play(ClimbingGame(), (kind(1), kind(1))) == [{"player_0": 7.0, "player_1": 7.0}]


def test_missing_and_unknown_agents_are_named() -> None:
    game = ClimbingGame()
    game.reset()
    with pytest.raises(ValueError, match=r"missing \['player_1'\], unknown \['player_2'\]"):
        game.step({"player_0": 0, "player_2": 0})


def test_action_names_must_fit_the_actions() -> None:
    with pytest.raises(ValueError, match="player_1 must be 2 names"):
        MatrixGame(np.zeros((2, 2)), action_names=(("a", "b"), ("a",)))
    with pytest.raises(ValueError, match=r"one sequence an agent \(2\), got 1"):
        MatrixGame(np.zeros((2, 2)), action_names=(("a", "b"),))


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("climbing_gam", {}, r"game 'climbing_gam'.*mean 'climbing_game'\?"),
        ("zzz", {}, r"game 'zzz'\. Allowed: 'climbing_game', "),
        ("climbing_game", {"memmory": True}, r"'memmory'.*mean 'memory'\?"),
        ("max_of_two_quadratics", {"surfaces": "paper"}, r"'surfaces'.*mean 'surface'\?"),
    ],
)
def test_make_names_the_nearest_right_name(
    name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make(name, **arguments)


def test_make_passes_settings_on() -> None:
    game = make("max_of_two_quadratics", surface="authors", plays_per_episode=3, memory=True)
    assert isinstance(game, MaxOfTwoQuadratics)
    assert (game.surface, game.plays_per_episode, game.memory) == ("authors", 3, True)


# -- Pictures --------------------------------------------------------------------------------------


def games_of_each_kind(render_mode: str) -> dict[str, tuple[RepeatedGame, tuple[Any, ...]]]:
    """One game for each kind of picture, and a joint action of it."""
    own = (np.eye(2), 1 - np.eye(2))
    spaces = [Discrete(2), box(), box()]
    mode: dict[str, Any] = {"render_mode": render_mode}
    return {
        "surface": (MaxOfTwoQuadratics(**mode), (1.0, 2.0)),
        "two surfaces": (RepeatedGame(lambda a: a * [1, 2], [box(), box()], **mode), (0.1, 0.2)),
        "matrix": (ClimbingGame(**mode), (1, 2)),
        "two matrices": (MatrixGame(*own, **mode), (1, 0)),
        "history": (RepeatedGame(total_payoff, spaces, **mode), (1, 0.3, 0.2)),
        "discrete history": (MatrixGame(np.zeros((2, 2, 2)), **mode), (1, 0, 1)),
    }


@pytest.mark.parametrize("kind", games_of_each_kind("rgb_array"))
def test_image_shows_the_play(kind: str) -> None:
    game, joint_action = games_of_each_kind("rgb_array")[kind]
    play(game)
    before = game.render()
    play(game, joint_action)
    after = game.render()
    for image in (before, after):
        assert isinstance(image, np.ndarray)
        assert image.dtype == np.uint8
        assert image.shape[2] == 3
        assert min(image.shape[:2]) >= 400
    assert isinstance(before, np.ndarray)
    assert isinstance(after, np.ndarray)
    assert before.shape == after.shape
    assert (before != after).any()


def test_image_leaves_no_figure_behind() -> None:
    import matplotlib.pyplot as plt

    game, joint_action = games_of_each_kind("rgb_array")["matrix"]
    play(game, joint_action)
    game.render()
    assert plt.get_fignums() == []


@pytest.mark.parametrize("kind", games_of_each_kind("ansi"))
def test_text_names_the_game_and_its_progress(kind: str) -> None:
    game, joint_action = games_of_each_kind("ansi")[kind]
    play(game)
    assert "play 0 of 25" in str(game.render())
    play(game, joint_action, joint_action)
    text = str(game.render())
    assert "play 2 of 25" in text
    assert "return" in text


def test_text_of_a_matrix_marks_the_chosen_cell_and_counts() -> None:
    game = ClimbingGame(render_mode="ansi")
    play(game, (0, 0), (2, 2), (1, 2))
    lines = str(game.render()).splitlines()
    assert lines[0] == "Climbing game"
    assert lines[1] == "play 3 of 25, reward 6, return 22"
    rows = [re.split(r"\s{2,}", line.strip()) for line in lines[3:7]]
    assert rows == [
        ["A", "B", "C"],
        ["A", "11 x1", "-30", "0"],
        ["B", "-30", "7", "[6] x1"],
        ["C", "0", "0", "5 x1"],
    ]


def test_text_of_continuous_actions_lists_the_newest_plays() -> None:
    game = MaxOfTwoQuadratics(render_mode="ansi")
    play(game, *[(0.0, 0.0)] * 20, (5.0, -4.25))
    lines = str(game.render()).splitlines()
    assert re.fullmatch(r">\s+21\s+5\.00\s+-4\.25\s+-8\.939", lines[-1])
    assert len(lines) < 20


def test_render_without_a_mode_warns_and_shows_nothing() -> None:
    game = ClimbingGame()
    game.reset()
    with pytest.warns(UserWarning, match="render_mode=None"):
        assert game.render() is None


def test_unknown_render_mode_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"render_mode 'rgb'.*'ansi', 'human', 'rgb_array'"):
        ClimbingGame(render_mode="rgb")


def test_human_mode_without_a_window_fails_and_names_rgb_array() -> None:
    import matplotlib.pyplot as plt

    matplotlib.use("agg")
    game = ClimbingGame(render_mode="human")
    with pytest.raises(RuntimeError, match="rgb_array"):
        game.reset()
    assert plt.get_fignums() == []


def test_human_mode_without_a_display_fails_and_names_rgb_array(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import matplotlib.pyplot as plt

    def no_display(**_: Any) -> None:
        raise ImportError("Cannot load backend")

    monkeypatch.setattr(plt, "figure", no_display)
    with pytest.raises(RuntimeError, match=r"no display.*rgb_array"):
        ClimbingGame(render_mode="human").reset()


def test_human_mode_refreshes_its_window_at_each_play(monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[Any] = []

    class FakeWindow:
        def show(self, game: RepeatedGame) -> None:
            events.append(len(game.joint_actions))

        def close(self) -> None:
            events.append("closed")

    monkeypatch.setattr(rendering, "Window", FakeWindow)
    game = ClimbingGame(render_mode="human")
    play(game, (0, 0), (1, 1))
    game.close()
    game.close()
    assert events == [0, 1, 2, "closed"]


def test_two_hills_is_max_of_two_quadratics_for_two() -> None:
    actions = np.random.default_rng(0).uniform(-10, 10, (50, 2))
    payoff = TwoHills().hills
    np.testing.assert_allclose(
        payoff(actions, np.random.default_rng(0)), max_of_two_quadratics_payoff(actions)
    )


def test_two_hills_has_its_optimum_where_it_was_put() -> None:
    game = TwoHills(3, optimum=(5.0, 2.0, -1.0), narrowness=4.0)
    game.reset()
    best = dict(zip(game.possible_agents, ([5.0], [2.0], [-1.0]), strict=True))
    _, rewards, *_ = game.step({agent: np.float32(action) for agent, action in best.items()})
    assert set(rewards.values()) == {10.0}


def test_two_hills_shifts_with_the_context_that_agents_observe() -> None:
    game = TwoHills(context=3.0)
    observations, _ = game.reset(seed=1)
    seen = set()
    for _ in range(10):
        shift = 3.0 * float(observations["player_0"][0])
        seen.add(shift)
        action = np.array([5.0 + shift], np.float32)
        observations, rewards, *_ = game.step({"player_0": action, "player_1": action})
        assert rewards["player_1"] == pytest.approx(10.0, abs=1e-4)
    assert len(seen) == 10
    assert -3.0 <= min(seen) < 0.0 < max(seen) <= 3.0


def test_two_hills_noise_is_seeded_with_the_game() -> None:
    game, action = TwoHills(noise=2.0), np.zeros(1, np.float32)
    runs = []
    for _ in range(2):
        game.reset(seed=3)
        played = [game.step(dict.fromkeys(game.agents, action)) for _ in range(5)]
        runs.append([rewards["player_0"] for _, rewards, *_ in played])
    assert runs[0] == runs[1]
    assert np.std(runs[0]) > 0.5


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"agents": 1}, "agents"),
        ({"optimum": 11.0}, "optimum"),
        ({"context": 6.0}, "context"),
        ({"narrowness": 0.0}, "narrowness"),
        ({"noise": -1.0}, "noise"),
    ],
)
def test_two_hills_refuses_what_makes_no_game(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TwoHills(**settings)


def test_what_agents_observe_without_memory_may_be_another_constant() -> None:
    game = make("max_of_two_quadratics", constant_observation=0.0)
    observations, _ = game.reset()
    assert all(observation.tolist() == [0.0] for observation in observations.values())
    assert make("max_of_two_quadratics").reset()[0]["player_0"].tolist() == [1.0]


@pytest.mark.parametrize("bad", [-0.1, 1.5, "0", None, float("nan")])
def test_a_constant_outside_of_the_observation_space_is_refused(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"`constant_observation` is .* allowed: a number in"):
        make("max_of_two_quadratics", constant_observation=bad)


def test_a_constant_observation_is_refused_with_memory() -> None:
    with pytest.raises(ValueError, match=r"`constant_observation` is 0.0; allowed: 1.0 with `mem"):
        make("max_of_two_quadratics", memory=True, constant_observation=0.0)
