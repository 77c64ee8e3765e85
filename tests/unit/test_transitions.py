"""Chunks of multi-agent episodes against what was really played."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from scripted_episodes import End, Script, Transition, any_script, observation, play

from rommeo_rllib.joint_action.replay.transitions import EpisodeJoiner, JointSteps
from rommeo_rllib.rllib_boundary.episodes import OrderedEpisode

ALWAYS = tuple(range(100))
DENSE = {"agent_0": ALWAYS, "agent_1": ALWAYS}


def recovered(joined: Iterable[JointSteps]) -> list[Transition]:
    """The joint steps as the script's player reports them, by step and agent.

    A terminated agent's next observation, which nobody may use, is left out, and so is the check
    of it.
    """
    found = []
    for steps in joined:
        rows: list[dict[str, tuple]] = [{} for _ in range(steps.length)]
        for agent, t in steps.agents.items():
            assert t.policy == f"policy_{agent}"
            assert t.rewards.dtype == t.terminated.dtype == np.float32
            columns = (t.obs, t.actions, t.rewards, t.next_obs, t.terminated, t.next_acting)
            for row, *values in zip(t.rows, *columns, strict=True):
                assert agent not in rows[row]
                rows[row][agent] = tuple(values)
        for row in rows:
            assert row, "a joint step at which nobody acted"
            assert len({obs[1] for obs, *_ in row.values()}) == 1, "rows of different env steps"
            for agent, (obs, action, reward, next_obs, terminated, acting) in row.items():
                assert obs[2] == ord(agent[-1])
                if not terminated:
                    np.testing.assert_array_equal(next_obs, observation(obs[0], next_obs[1], agent))
                found.append(
                    Transition(
                        step=int(obs[1]),
                        agent=agent,
                        action=int(action),
                        others={a: int(v[1]) for a, v in row.items() if a != agent},
                        reward=float(reward),
                        next_step=None if terminated else int(next_obs[1]),
                        terminated=bool(terminated),
                        next_acting=None if terminated else frozenset(acting) - {agent},
                    )
                )
    return sorted(found, key=lambda t: (t.step, t.agent))


def expected(transitions: Iterable[Transition]) -> list[Transition]:
    return [
        Transition(**{**vars(t), "next_step": None if t.terminated else t.next_step})
        for t in transitions
    ]


def check(script: Script, cuts: Sequence[int] = (), **settings) -> list[Transition]:
    """Plays a script; every transition must come out once, whole, at its env step."""
    chunks, truth = play(script, cuts, **settings)
    joiner = EpisodeJoiner()
    found = recovered(steps for chunk in chunks for steps in joiner.join([chunk]))
    assert found == expected(truth)
    return found


def test_simultaneous_actions_stand_side_by_side():
    found = check(Script(DENSE, length=5, ending="terminated"))
    assert [t.terminated for t in found] == [False] * 8 + [True] * 2
    assert all(len(t.others) == 1 for t in found)


@pytest.mark.parametrize("fragment", [1, 2, 3, 7])
def test_cuts_neither_lose_nor_double_a_step(fragment):
    cuts = range(fragment, 20, fragment)
    assert len(check(Script(DENSE, length=20, ending="truncated"), cuts)) == 40


def test_a_time_limit_is_no_termination():
    found = check(Script(DENSE, length=4, ending="truncated"), cuts=(2,))
    assert not any(t.terminated for t in found)
    assert found[-1].next_step == 4


def test_one_agent_may_terminate_while_the_time_is_up_for_the_others():
    # Marked as RLlib would have it if the environment gives the flag for all, no agent's own.
    episode = OrderedEpisode(
        action_space=dict.fromkeys(DENSE, gym.spaces.Discrete(4)),
        agent_to_module_mapping_fn=lambda agent, episode: f"policy_{agent}",
    )
    both = {agent: observation(0, 0, agent) for agent in DENSE}
    episode.add_env_reset(observations=both)
    episode.add_env_step(
        both,
        dict.fromkeys(DENSE, 0),
        dict.fromkeys(DENSE, 0.0),
        terminateds={"agent_0": True, "__all__": False},
        truncateds={"__all__": True},
    )
    (steps,) = EpisodeJoiner().join([episode.to_numpy()])
    assert {a: t.terminated.tolist() for a, t in steps.agents.items()} == {
        "agent_0": [1.0],
        "agent_1": [0.0],
    }


@pytest.mark.parametrize("cuts", [(), (1,), (3,), (4,), (1, 2, 3, 4, 5)])
@pytest.mark.parametrize("end", [End(3), End(3, truncated=True), End(3, observed=False)])
def test_an_agent_that_leaves_early_is_absent_from_then_on(cuts, end):
    script = Script(DENSE, length=6, ending="terminated", leaves={"agent_1": end})
    found = check(script, cuts)
    assert [t.step for t in found if t.agent == "agent_1"] == [0, 1, 2]
    assert [bool(t.others) for t in found if t.agent == "agent_0"] == [True] * 3 + [False] * 3
    (last,) = [t for t in found if t.agent == "agent_1" and t.step == 2]
    assert last.terminated is not end.truncated


@pytest.mark.parametrize("cuts", [(), (2,), (3,), (4,), (1, 2, 3, 4, 5)])
def test_an_agent_that_joins_late_is_absent_until_then(cuts):
    script = Script({"agent_0": ALWAYS, "agent_1": ALWAYS[3:]}, length=6, ending="truncated")
    found = check(script, cuts)
    assert [t.step for t in found if t.agent == "agent_1"] == [3, 4, 5]


@pytest.mark.parametrize("cuts", [(), (1,), (2,), (1, 2, 3, 4, 5, 6)])
@pytest.mark.parametrize("final_observations", [True, False])
def test_agents_that_take_turns_never_act_together(cuts, final_observations):
    turns = {"agent_0": ALWAYS[::2], "agent_1": (0, *ALWAYS[1::2])}
    script = Script(turns, 7, "terminated", final_observations=final_observations)
    found = check(script, cuts)
    assert [t.agent for t in found if t.step > 0] == ["agent_1", "agent_0"] * 3
    assert all(not t.others for t in found if t.step > 0)
    assert [t.terminated for t in found][-2:] == [True, True]


@pytest.mark.parametrize("cuts", [(), (1,), (4,), (1, 2, 3, 4, 5, 6, 7)])
def test_what_is_paid_while_an_agent_waits_belongs_to_its_action(cuts):
    found = check(
        Script({"agent_0": ALWAYS, "agent_1": ALWAYS[::3]}, 8, "truncated"),
        cuts,
    )
    paid = {t.step: t.reward for t in found if t.agent == "agent_1"}
    assert {step: reward // 1000 for step, reward in paid.items()} == {0: 2, 3: 2, 6: 1}


def test_a_step_is_held_back_until_all_who_acted_have_seen_the_outcome():
    script = Script({"agent_0": ALWAYS, "agent_1": (0, 4)}, length=10)
    joiner = EpisodeJoiner()
    chunks, _ = play(script, cuts=(2, 4), env_steps=6)
    lengths = [[s.length for s in joiner.join([chunk])] for chunk in chunks]
    # Of chunk 1 only step 1 is complete; of chunk 3 (steps 4, 5) step 5, while agent_1 waits again.
    assert lengths == [[1], [3], [1]]


def test_chunks_of_several_episodes_do_not_mix():
    scripts = [
        Script(DENSE, length=6, ending="terminated"),
        Script({"agent_0": ALWAYS, "agent_1": (0, 3, 5)}, length=6, ending="truncated"),
    ]
    played = [play(s, (2, 4), episode_number=n, seed=n) for n, s in enumerate(scripts)]
    joiner = EpisodeJoiner()
    found = [
        steps
        for round_ in zip(*(chunks for chunks, _ in played), strict=True)
        for steps in joiner.join(round_)
    ]
    for number, (_, truth) in enumerate(played):
        own = [s for s in found if all(t.obs[0, 0] == number for t in s.agents.values())]
        assert recovered(own) == expected(truth)
        assert own
    assert len(recovered(found)) == sum(len(truth) for _, truth in played)


def test_a_lost_episode_is_forgotten():
    chunks, _ = play(Script(DENSE, length=6), cuts=(2, 4))
    joiner = EpisodeJoiner()
    list(joiner.join([chunks[0]]))
    assert len(joiner._ongoing) == 1
    list(joiner.join([]))
    assert not joiner._ongoing


def test_after_a_lost_chunk_what_is_known_is_still_aligned():
    chunks, truth = play(Script(DENSE, length=6, ending="terminated"), cuts=(2, 4))
    joiner = EpisodeJoiner()
    found = recovered(steps for chunk in chunks[1:] for steps in joiner.join([chunk]))
    assert found == expected(t for t in truth if t.step >= 2)


def test_an_action_of_a_lost_chunk_is_left_out():
    script = Script({"agent_0": ALWAYS, "agent_1": (0, 3, 4, 5)}, 6, "terminated")
    chunks, truth = play(script, cuts=(2,))
    found = recovered(EpisodeJoiner().join([chunks[1]]))
    assert found == expected(t for t in truth if t.step >= 2)


def test_an_agent_that_joins_after_a_lost_chunk_is_aligned():
    script = Script({"agent_0": ALWAYS, "agent_1": ALWAYS[4:]}, 7, "terminated")
    chunks, truth = play(script, cuts=(3,))
    found = recovered(EpisodeJoiner().join([chunks[1]]))
    assert found == expected(t for t in truth if t.step >= 3)


def test_a_reward_that_is_not_finite_names_the_agent():
    episode = MultiAgentEpisode(agent_to_module_mapping_fn=lambda agent, episode: agent)
    both = {agent: observation(0, 0, agent) for agent in DENSE}
    episode.add_env_reset(observations=both)
    actions = dict.fromkeys(DENSE, 0)
    episode.add_env_step(both, actions, {"agent_0": 0.0, "agent_1": float("nan")})
    with pytest.raises(ValueError, match=r"'agent_1' received the reward nan"):
        list(EpisodeJoiner().join([episode.to_numpy()]))


@settings(max_examples=200, deadline=None)
@given(any_script(), st.sampled_from([1, 1, 2, 5]))
def test_any_script_comes_out_as_it_was_played(script_and_cuts, lookback):
    script, cuts = script_and_cuts
    check(script, cuts, lookback=lookback)
