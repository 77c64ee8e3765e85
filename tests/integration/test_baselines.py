"""Each of ROMMEO-AC's rivals can what ROMMEO-AC can: algorithm by capability, shrunken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from environments import TeamEnv
from representative import cases
from small import own_policy, policy_of, shared_policy, shrunken

from rommeo_rllib.commands.figure_2 import ALGORITHMS as IN_FIGURE_2
from rommeo_rllib.registration import ALGORITHMS
from rommeo_rllib.schedules import make_schedule

pytestmark = pytest.mark.usefixtures("ray_session")

RIVALS = [name for name in ALGORITHMS if name != "ROMMEO-AC"]
DISCRETE = [
    name
    for name in RIVALS
    if "discrete" in ALGORITHMS[name].get_default_config().POLICY_CLASS.ACTION_KINDS
]
CONTINUOUS = sorted(set(RIVALS) - set(DISCRETE))
WITH_NOISE = ["DDPG", "DDPG-OM", "MADDPG", "PR2-AC"]
# It trains centrally, explores with noise and has target policies; traces hold them all.
QUICK = ["MADDPG"]
FALLING = {"initial": 1.0, "final": 0.1, "decay_steps": 60}
TEAM = {"agent_0", "agent_1", "agent_2"}


def config_of(name: str, game: str = "max_of_two_quadratics", **training: Any) -> Any:
    """Tiny networks, and a discount, so that targets count."""
    return shrunken(ALGORITHMS[name].get_default_config(), game, gamma=0.9, **training)


def team_config(name: str) -> Any:
    config = config_of(name).environment(TeamEnv, env_config={"length": 5})
    return config.multi_agent(policies=TEAM, policy_mapping_fn=own_policy)


def trained(config: Any, iterations: int = 1) -> tuple[Any, dict]:
    algorithm = config.build_algo()
    for _ in range(iterations):
        result = algorithm.train()
    return algorithm, result


def losses(result: dict, policy: str) -> dict[str, float]:
    return {k: v for k, v in result["learners"][policy].items() if k.endswith("_loss")}


def test_all_that_figure_2_compares_are_registered():
    assert set(IN_FIGURE_2) <= set(ALGORITHMS)


@pytest.mark.parametrize("name", cases(RIVALS, QUICK))
def test_many_agents_with_unlike_spaces_train_and_report(name):
    algorithm, result = trained(team_config(name))
    algorithm.stop()
    for policy, dimensions in zip(sorted(TEAM), TeamEnv.SIZES, strict=True):
        metrics = result["learners"][policy]
        assert {"q_loss", "policy_loss"} <= metrics.keys()
        assert f"policy_mean_{dimensions - 1}" in metrics
        assert all(math.isfinite(value) for value in metrics.values())
        # What the network of an agent says is within the bounds of its actions.
        assert abs(metrics["policy_mean_0"]) <= 2.0


@pytest.mark.parametrize("name", cases(RIVALS, QUICK))
def test_greedy_actions_are_always_the_same_and_others_are_not(name):
    algorithm, _ = trained(config_of(name))
    module = algorithm.get_module("player_0")
    batch = {"obs": torch.ones(32, 1)}
    with torch.no_grad():
        greedy = [module.forward_inference(batch)["actions"] for _ in range(2)]
        exploring = module.forward_exploration(batch)["actions"]
    algorithm.stop()
    assert torch.equal(greedy[0], greedy[1])
    assert len(torch.unique(greedy[0], dim=0)) == 1
    assert len(torch.unique(exploring, dim=0)) > 16
    assert exploring.abs().max() <= 1.0


@pytest.mark.parametrize("name", cases(RIVALS, QUICK))
def test_a_restored_run_goes_on_as_the_uninterrupted_one(name, tmp_path):
    algorithm, _ = trained(config_of(name))
    path = algorithm.save_to_path(str(tmp_path))
    uninterrupted = algorithm.train()
    algorithm.stop()
    restored = config_of(name).build_algo()
    restored.restore_from_path(path)
    result = restored.train()
    restored.stop()
    expected, found = (
        [losses(one, policy) for policy in ("player_0", "player_1")]
        for one in (uninterrupted, result)
    )
    assert expected[0] == pytest.approx(found[0], rel=1e-4)
    assert expected[1] == pytest.approx(found[1], rel=1e-4)
    assert expected[0] != found[1]


@pytest.mark.parametrize("name", cases(RIVALS, QUICK))
def test_a_copy_computes_what_a_trial_of_its_own_computes(name):
    together, result = trained(config_of(name, replicas=2).debugging(seed=3), 2)
    together.stop()
    alone, own = trained(config_of(name).debugging(seed=4), 2)
    alone.stop()
    for metric in ("q_loss", "policy_loss", "policy_mean_0"):
        numbers = result["learners"]["replicas"]["player_1"][metric]
        assert numbers[1] == pytest.approx(own["learners"]["player_1"][metric], rel=1e-3, abs=1e-4)
        assert numbers[0] != pytest.approx(numbers[1], rel=1e-3)


@pytest.mark.parametrize("name", cases(RIVALS, QUICK))
def test_agents_may_share_a_policy(name):
    config = config_of(name).multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)
    algorithm, result = trained(config)
    algorithm.stop()
    assert all(math.isfinite(value) for value in losses(result, "shared").values())


@pytest.mark.parametrize("name", cases(RIVALS, QUICK))
def test_an_env_runner_acts_with_what_learners_hand_out(name):
    algorithm, _ = trained(config_of(name))
    learned = policy_of(algorithm, "player_0")
    spec = algorithm.config.get_multi_rl_module_spec(
        spaces=algorithm.spaces, inference_only=True
    ).rl_module_specs["player_0"]
    algorithm.stop()
    acting = spec.build()
    acting.set_state(learned.get_state(inference_only=True))
    batch = {"obs": torch.ones(3, 1)}
    with torch.no_grad():
        expected, found = (one.forward_inference(batch)["actions"] for one in (learned, acting))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)
    # What is for training alone stays behind.
    assert len(list(acting.parameters())) < len(list(learned.parameters()))
    assert not any("target" in name for name, _ in acting.named_modules())


@pytest.mark.parametrize("name", CONTINUOUS)
def test_what_cannot_be_counted_on_is_refused_with_the_agents_name(name):
    with pytest.raises(ValueError, match=r"cannot serve agent 'player_0'.*Discrete.*Box"):
        config_of(name, "climbing_game").build_algo()


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_actions_are_learned_where_the_algorithm_has_them(name):
    algorithm, result = trained(config_of(name, "climbing_game"))
    algorithm.stop()
    assert all(math.isfinite(loss) for loss in losses(result, "player_0").values())
    actions = algorithm.replay_buffer.get_state()["arrays"]["0/actions"]
    assert set(actions.tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("name", WITH_NOISE)
def test_exploration_noise_follows_its_schedule_in_env_steps(name):
    algorithm = config_of(name, exploration_noise=FALLING).build_algo()
    for iteration in (1, 2):
        result = algorithm.train()
        expected = make_schedule(FALLING, "noise").value(40 * iteration)
        noise = result["learners"]["player_1"]["exploration_noise"]
        assert noise == pytest.approx(expected)
        acting = algorithm.env_runner.module["player_1"].noise_scale
        assert acting.item() == pytest.approx(expected)
    algorithm.stop()


@pytest.mark.slow
def test_remote_env_runners_and_a_remote_learner_train_and_share_the_noises_schedule():
    config = config_of("MADDPG", exploration_noise=FALLING)
    config.env_runners(num_env_runners=1).learners(num_learners=1)
    algorithm, result = trained(config)
    (scale,) = algorithm.env_runner_group.foreach_env_runner(
        lambda runner: runner.module["player_0"].noise_scale.item(), local_env_runner=False
    )
    algorithm.stop()
    assert scale == pytest.approx(make_schedule(FALLING, "noise").value(40))
    for policy in ("player_0", "player_1"):
        assert all(math.isfinite(value) for value in losses(result, policy).values())


def test_without_noise_a_deterministic_policy_explores_nothing():
    algorithm, _ = trained(config_of("DDPG", exploration_noise=0.0))
    actions = algorithm.replay_buffer.get_state()["arrays"]["0/actions"][:5]
    algorithm.stop()
    np.testing.assert_array_equal(actions, np.repeat(actions[:1], 5, axis=0))


def test_central_training_needs_to_know_the_opponents_policies():
    def by_episode(agent_id: str, episode: Any, **kwargs: Any) -> str:
        return agent_id if episode.id_ else "player_0"

    config = config_of("MADDPG").multi_agent(policy_mapping_fn=by_episode)
    with pytest.raises(ValueError, match="'player_0' is trained centrally, but `policy_mapping_fn"):
        config.build_algo()


def test_central_training_refuses_a_policy_whose_opponents_differ():
    config = team_config("MADDPG").multi_agent(
        policies={"ends", "middle"},
        policy_mapping_fn=lambda agent, *args, **kwargs: "middle" if agent[-1] == "1" else "ends",
    )
    with pytest.raises(ValueError, match="shared by the agents 'agent_0' and 'agent_2'"):
        config.build_algo()


def test_central_critics_see_everybody():
    algorithm, _ = trained(team_config("MADDPG"))
    policy = policy_of(algorithm, "agent_0")
    algorithm.stop()
    # Observations of 2, 3 and 2 numbers, actions of 1, 2 and 1.
    assert policy.critic.networks[0][0].weight.shape[0] == 7 + 4
    assert policy.policy_network[0].weight.shape[0] == 2
