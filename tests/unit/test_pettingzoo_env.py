"""PettingZoo environments under RLlib: agents, endings, errors, and RLlib's own vector env."""

from collections.abc import Iterator, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete
from pettingzoo import ParallelEnv
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.env.vector.sync_vector_multi_agent_env import SyncVectorMultiAgentEnv
from ray.rllib.utils.pre_checks.env import check_multiagent_environments

from rommeo_rllib.envs import make
from rommeo_rllib.pettingzoo_env import PettingZooMultiAgentEnv

TERMINATED, TRUNCATED = "terminated", "truncated"


class ScriptedEnv(ParallelEnv[str, Any, Any]):
    """Agents that end as a script says: agent -> (step, how). Observations count the steps."""

    metadata = {"name": "scripted", "render_modes": ["rgb_array"]}  # noqa: RUF012
    render_mode = "rgb_array"

    def __init__(self, script: dict[str, tuple[int, str]], *, talkative: bool = False) -> None:
        self.possible_agents = list(script)
        self.script = script
        # Whether dead agents still get (worthless) entries in all dicts, as some environments do.
        self.talkative = talkative
        self.agents: list[str] = []
        self.rewards: dict[str, Any] = {}
        self.infos: dict[str, Any] = {}
        self.received: list[dict[str, Any]] = []
        self.resets: list[tuple[Any, Any]] = []
        self.closed = False
        self.t = 0

    def observation_space(self, agent: str) -> gym.Space[Any]:
        return Box(0, 100, (1,), np.float32)

    def action_space(self, agent: str) -> gym.Space[Any]:
        return Discrete(2)

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        self.resets.append((seed, options))
        self.agents = self.possible_agents.copy()
        self.t = 0
        return self._observe(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions: dict[str, Any]) -> Any:
        self.received.append(actions)
        self.t += 1
        told = self.possible_agents if self.talkative else self.agents
        ends = {agent: how for agent, (t, how) in self.script.items() if t == self.t}
        self.agents = [agent for agent in self.agents if agent not in ends]
        return (
            self._observe(told),
            {agent: float(self.t) for agent in told} | self.rewards,
            {agent: ends.get(agent) == TERMINATED for agent in told},
            {agent: ends.get(agent) == TRUNCATED for agent in told},
            {agent: {} for agent in told} | self.infos,
        )

    def render(self) -> Any:
        return np.full((2, 2, 3), self.t, np.uint8)

    def close(self) -> None:
        self.closed = True

    def _observe(self, agents: Sequence[str]) -> dict[str, Any]:
        return {agent: np.array([self.t], np.float32) for agent in agents}


def act(env: PettingZooMultiAgentEnv) -> dict[Any, int]:
    """An action of every possible agent, whether it still lives or not."""
    return dict.fromkeys(env.possible_agents, 1)


def wrapped(script: dict[str, tuple[int, str]], **settings: Any) -> PettingZooMultiAgentEnv:
    return PettingZooMultiAgentEnv(ScriptedEnv(script, **settings))


# -- What RLlib reads off the environment ----------------------------------------------------------


def test_agents_keep_the_order_of_the_environment() -> None:
    names = ["zoe", "adam", "player_10", "player_2"]
    env = wrapped(dict.fromkeys(names, (3, TRUNCATED)))
    assert env.possible_agents == env.agents == names
    assert list(env.observation_spaces or {}) == list(env.action_spaces or {}) == names
    assert isinstance(env.observation_space, gym.spaces.Dict)
    assert isinstance(env.action_space, gym.spaces.Dict)
    assert list(env.observation_space) == list(env.action_space) == names
    observations, infos = env.reset()
    assert list(observations) == list(infos) == names
    for values in env.step(act(env)):
        assert [agent for agent in values if agent != "__all__"] == names


class SetInOrder(set[str]):
    """A set that is gone through as some hash seed would have it."""

    def __init__(self, order: Sequence[str]) -> None:
        super().__init__(order)
        self.order = order

    def __iter__(self) -> Iterator[str]:
        return iter(self.order)


@pytest.mark.parametrize(
    ("collection", "expected"),
    [(list, ["zoe", "adam", "eve", "bob"]), (SetInOrder, ["adam", "bob", "eve", "zoe"])],
)
def test_order_of_agents_does_not_depend_on_the_hash_seed(collection: Any, expected: Any) -> None:
    inner = ScriptedEnv(dict.fromkeys(("zoe", "adam", "eve", "bob"), (9, TRUNCATED)))
    inner.possible_agents = collection(["zoe", "adam", "eve", "bob"])
    inner.agents = inner.possible_agents
    inner.reset = lambda **_: (dict.fromkeys(inner.possible_agents, 0), {})  # type: ignore
    env = PettingZooMultiAgentEnv(inner)
    assert env.possible_agents == list(env.action_spaces) == expected  # type: ignore[arg-type]
    assert list(env.reset()[0]) == list(env.step(act(env))[0]) == expected


def test_spaces_are_known_by_agent_also_through_unwrapped() -> None:
    env = PettingZooMultiAgentEnv(make("max_of_two_quadratics", memory=True))
    for agent in ("player_0", "player_1"):
        assert env.get_action_space(agent) == Box(-10, 10, (1,), np.float32)
        assert env.get_observation_space(agent) == Box(-1, 1, (2,), np.float32)
    assert isinstance(env, MultiAgentEnv)
    assert env.unwrapped is env
    assert (env.num_agents, env.max_num_agents) == (2, 2)


def test_construction_resets_only_an_environment_that_names_no_agents() -> None:
    env = ScriptedEnv({"a": (1, TRUNCATED), "b": (1, TRUNCATED)})
    PettingZooMultiAgentEnv(env)
    assert env.resets == []

    class Secretive(ScriptedEnv):
        def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            self.possible_agents = list(self.script)
            result = super().reset(seed, options)
            del self.possible_agents
            return result

    secretive = Secretive({"b": (1, TRUNCATED), "a": (1, TRUNCATED)})
    del secretive.possible_agents
    assert PettingZooMultiAgentEnv(secretive).possible_agents == ["b", "a"]


def test_a_factory_is_called() -> None:
    env = PettingZooMultiAgentEnv(lambda: make("climbing_game", plays_per_episode=2))
    assert env.possible_agents == ["player_0", "player_1"]


def test_what_is_no_parallel_environment_is_refused() -> None:
    for wrong in (3, lambda: "env", gym.Env):
        with pytest.raises(ValueError, match="PettingZoo parallel environment"):
            PettingZooMultiAgentEnv(wrong)


def test_seed_and_options_pass_through() -> None:
    env = wrapped({"a": (1, TRUNCATED)})
    env.reset(seed=7, options={"x": 1})
    env.reset()
    assert isinstance(env.env, ScriptedEnv)
    assert env.env.resets == [(7, {"x": 1}), (None, None)]


def test_render_and_close_reach_the_environment() -> None:
    env = wrapped({"a": (5, TRUNCATED)})
    env.reset()
    env.step(act(env))
    np.testing.assert_array_equal(env.render(), np.ones((2, 2, 3)))
    assert env.render_mode == "rgb_array"
    env.close()
    assert isinstance(env.env, ScriptedEnv)
    assert env.env.closed


def test_metadata_is_a_copy_because_rllib_writes_into_it() -> None:
    env = wrapped({"a": (1, TRUNCATED)})
    env.metadata["autoreset_mode"] = "next_step"
    assert "autoreset_mode" not in ScriptedEnv.metadata


@pytest.mark.parametrize("plays", [1, 25])
@pytest.mark.parametrize("game", ["climbing_game", "max_of_two_quadratics"])
def test_games_pass_rllibs_check_of_environments(game: str, plays: int) -> None:
    check_multiagent_environments(PettingZooMultiAgentEnv(make(game, plays_per_episode=plays)))


def test_infos_of_no_agent_come_under_rllibs_common_key() -> None:
    env = wrapped({"a": (1, TERMINATED), "b": (9, TERMINATED)}, talkative=True)
    assert isinstance(env.env, ScriptedEnv)
    env.env.infos = {"weather": "fine"}
    env.reset()
    check_multiagent_environments(env)
    assert env.step(act(env))[4] == {"b": {}, "__common__": {"weather": "fine"}}


# -- Endings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "terminated", "truncated"),
    [
        ((2, TRUNCATED), (2, TRUNCATED), False, True),
        ((1, TRUNCATED), (2, TRUNCATED), False, True),
        ((2, TERMINATED), (2, TERMINATED), True, False),
        ((1, TERMINATED), (2, TERMINATED), True, False),
        ((2, TERMINATED), (2, TRUNCATED), True, False),
        ((1, TERMINATED), (2, TRUNCATED), True, False),
        ((1, TRUNCATED), (2, TERMINATED), True, False),
    ],
)
@pytest.mark.parametrize("talkative", [False, True])
def test_episode_ends_when_no_agent_is_left(
    first: tuple[int, str],
    second: tuple[int, str],
    terminated: bool,
    truncated: bool,
    talkative: bool,
) -> None:
    env = wrapped({"a": first, "b": second}, talkative=talkative)
    # Twice, so that nothing of an episode lives on in the next.
    for _ in range(2):
        env.reset()
        _, _, terminateds, truncateds, _ = env.step(act(env))
        assert not terminateds["__all__"]
        assert not truncateds["__all__"]
        assert terminateds["a"] == (first == (1, TERMINATED))
        assert truncateds["a"] == (first == (1, TRUNCATED))
        _, _, terminateds, truncateds, _ = env.step(act(env))
        assert (terminateds["__all__"], truncateds["__all__"]) == (terminated, truncated)
        assert terminateds["b"] == (second[1] == TERMINATED)
        assert truncateds["b"] == (second[1] == TRUNCATED)


def test_an_agent_both_terminated_and_truncated_counts_as_terminated() -> None:
    class Both(ScriptedEnv):
        def step(self, actions: dict[str, Any]) -> Any:
            observations, rewards, _, truncations, infos = super().step(actions)
            return observations, rewards, dict(truncations), truncations, infos

    env = PettingZooMultiAgentEnv(Both({"a": (1, TRUNCATED)}))
    env.reset()
    _, _, terminateds, truncateds, _ = env.step(act(env))
    assert terminateds == {"a": True, "__all__": True}
    assert truncateds == {"a": True, "__all__": False}


@pytest.mark.parametrize("talkative", [False, True])
def test_an_agent_that_ended_early_is_left_out_and_sends_no_action(talkative: bool) -> None:
    env = wrapped({"a": (1, TERMINATED), "b": (9, TERMINATED)}, talkative=talkative)
    env.reset()
    observations, rewards, terminateds, truncateds, infos = env.step(act(env))
    for values in (observations, rewards, terminateds, truncateds, infos):
        assert "a" in values
    for values in env.step(act(env)):
        assert values.keys() - {"__all__"} == {"b"}
    assert isinstance(env.env, ScriptedEnv)
    assert env.env.received == [{"a": 1, "b": 1}, {"b": 1}]
    assert env.agents == ["b"]


def test_an_agent_that_joins_late_is_reported_from_then_on() -> None:
    class LateB(ScriptedEnv):
        def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            super().reset(seed, options)
            self.agents = ["a"]
            return self._observe(self.agents), {}

        def step(self, actions: dict[str, Any]) -> Any:
            self.agents = ["a", "b"]
            return super().step(actions)

    env = PettingZooMultiAgentEnv(LateB({"b": (3, TRUNCATED), "a": (3, TRUNCATED)}))
    assert list(env.reset()[0]) == ["a"]
    assert list(env.step({"a": 0})[0]) == ["b", "a"]
    env.step(act(env))
    assert env.step(act(env))[3]["__all__"]


# -- Errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", [np.nan, np.inf, -np.inf, None, "one"])
def test_a_reward_that_is_no_finite_number_names_agent_and_step(reward: Any) -> None:
    env = wrapped({"a": (9, TRUNCATED), "b": (9, TRUNCATED)})
    assert isinstance(env.env, ScriptedEnv)
    env.reset()
    env.step(act(env))
    env.env.rewards = {"b": reward}
    with pytest.raises(ValueError, match=f"'b' at step 2 is {reward!r}"):
        env.step(act(env))


def test_a_reward_of_an_unknown_agent_is_an_error() -> None:
    env = wrapped({"a": (9, TRUNCATED)})
    assert isinstance(env.env, ScriptedEnv)
    env.reset()
    env.env.rewards = {"ghost": 1.0}
    with pytest.raises(ValueError, match=r"1\.0 at step 1 .* unknown agent 'ghost'.*\['a'\]"):
        env.step(act(env))


def test_an_agent_that_vanishes_without_an_end_is_an_error() -> None:
    class Vanishing(ScriptedEnv):
        def step(self, actions: dict[str, Any]) -> Any:
            result = super().step(actions)
            self.agents = ["b"]
            return result

    env = PettingZooMultiAgentEnv(Vanishing({"a": (9, TRUNCATED), "b": (9, TRUNCATED)}))
    env.reset()
    with pytest.raises(ValueError, match=r"'a' vanished.*step 1"):
        env.step(act(env))


def test_an_agent_that_is_not_possible_is_an_error() -> None:
    env = wrapped({"a": (9, TRUNCATED)})
    env.reset()
    env.env.agents = ["a", "ghost"]
    with pytest.raises(ValueError, match=r"unknown agents \['ghost'\] at step 1"):
        env.step(act(env))


# -- RLlib's own machinery -------------------------------------------------------------------------


def sample_episodes(env: Any, n_steps: int) -> list[MultiAgentEpisode]:
    """Step as RLlib's `MultiAgentEnvRunner` does; return the episodes that were finished."""

    def new_episode() -> MultiAgentEpisode:
        return MultiAgentEpisode(
            observation_space=env.single_observation_space,
            action_space=env.single_action_space,
            agent_to_module_mapping_fn=lambda agent_id, episode, **_: agent_id,
        )

    observations, infos = env.reset(seed=0)
    episodes = [new_episode() for _ in range(env.num_envs)]
    for episode, own_observations, own_infos in zip(episodes, observations, infos, strict=True):
        episode.add_env_reset(observations=own_observations, infos=own_infos)
    done = []
    for _ in range(n_steps):
        actions = [
            {
                agent: env.single_action_spaces[agent].sample()
                for agent in (episode.get_agents_to_act() if episode.is_reset else ())
            }
            for episode in episodes
        ]
        results = env.step(actions)
        for i, (obs, rewards, terminateds, truncateds, info) in enumerate(
            zip(*results, strict=True)
        ):
            if not episodes[i].is_reset:
                episodes[i].add_env_reset(observations=obs, infos=info)
                continue
            episodes[i].add_env_step(
                obs, actions[i], rewards, info, terminateds=terminateds, truncateds=truncateds
            )
            if episodes[i].is_done:
                done.append(episodes[i])
                episodes[i] = new_episode()
    return done


def test_vectorised_games_give_truncated_episodes_one_after_the_other() -> None:
    env = SyncVectorMultiAgentEnv(
        [lambda: PettingZooMultiAgentEnv(make("climbing_game", plays_per_episode=4))] * 2
    )
    # Four plays and one reset each, three times.
    episodes = sample_episodes(env, n_steps=15)
    assert len(episodes) == 6
    for episode in episodes:
        assert len(episode) == 4
        assert episode.is_truncated
        assert list(episode.agent_episodes) == ["player_0", "player_1"]
        assert all(len(own) == 4 for own in episode.agent_episodes.values())
        assert all(own.is_truncated for own in episode.agent_episodes.values())


def test_mixed_endings_give_each_agent_an_episode_with_its_own_flag() -> None:
    script = {"a": (1, TERMINATED), "b": (3, TRUNCATED), "c": (3, TERMINATED), "d": (2, TRUNCATED)}
    env = SyncVectorMultiAgentEnv([lambda: wrapped(script, talkative=True)])
    episodes = sample_episodes(env, n_steps=8)
    assert len(episodes) == 2
    for episode in episodes:
        assert episode.is_done
        for agent, (t, how) in script.items():
            own = episode.agent_episodes[agent]
            assert len(own) == t
            # RLlib calls every agent of the last step terminated; truncation is the agent's own.
            assert (own.is_terminated and not own.is_truncated) == (how == TERMINATED)
            assert own.is_truncated == (how == TRUNCATED)
            assert own.get_return() == sum(range(1, t + 1))
