"""Policies that are added to a running algorithm, and removed from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from small import game_config, own_policy

from rommeo_rllib import ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")


def newcomer_plays_first(agent: str, *args: Any, **kwargs: Any) -> str:
    return "newcomer" if agent == "player_0" else agent


def weights(algorithm: Any, policy: str) -> dict[str, torch.Tensor]:
    state = algorithm.learner_group._learner.module[policy].state_dict()
    return {name: value.clone() for name, value in state.items()}


def unequal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, other[name]) for name, value in one.items())


def add_newcomer(algorithm: Any, spec: RLModuleSpec, learning: list[str]) -> None:
    algorithm.add_module(
        "newcomer",
        spec,
        config_overrides=ROMMEOACConfig.overrides(alpha=0.5),
        new_agent_to_module_mapping_fn=newcomer_plays_first,
        new_should_module_be_updated=learning,
    )


@pytest.mark.parametrize("env_runners", [0, 1])
def test_an_added_policy_plays_and_learns_until_it_is_removed(env_runners):
    algorithm = game_config().env_runners(num_env_runners=env_runners).build_algo()
    try:
        algorithm.train()
        spec = RLModuleSpec.from_module(algorithm.get_module("player_0"))
        add_newcomer(algorithm, spec, ["newcomer", "player_1"])
        before = {policy: weights(algorithm, policy) for policy in ("player_0", "newcomer")}
        for _ in range(2):
            result = algorithm.train()
        steps = result["env_runners"]["num_module_steps_sampled"]
        assert steps["newcomer"] == steps["player_1"]
        assert result["learners"]["newcomer"]["alpha"] == pytest.approx(0.5)
        assert unequal(weights(algorithm, "newcomer"), before["newcomer"])
        assert not unequal(weights(algorithm, "player_0"), before["player_0"])

        algorithm.remove_module(
            "newcomer",
            new_agent_to_module_mapping_fn=own_policy,
            new_should_module_be_updated=["player_0", "player_1"],
        )
        algorithm.train()
        assert "newcomer" not in algorithm.learner_group._learner.module
        assert unequal(weights(algorithm, "player_0"), before["player_0"])
    finally:
        algorithm.stop()


def test_an_added_policy_of_another_kind_plays_in_rllibs_own_way():
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        own = algorithm.get_module("player_0")
        spec = RLModuleSpec(RandomRLModule, own.observation_space, own.action_space)
        assert algorithm.env_runner.samples_leanly
        add_newcomer(algorithm, spec, ["player_1"])
        assert not algorithm.env_runner.samples_leanly
        for _ in range(2):
            result = algorithm.train()
        assert result["env_runners"]["num_module_steps_sampled"]["newcomer"] > 0
        assert result["learners"].keys() >= {"player_1"}
        assert "newcomer" not in result["learners"]
    finally:
        algorithm.stop()


def test_streams_of_added_policies_are_their_own():
    config = game_config()
    keys = [config.stream_key(policy) for policy in ("player_0", "player_1")]
    config.policies = {**dict.fromkeys(config.policies), "a_newcomer": None}
    assert config.stream_key("a_newcomer", added=True) not in keys


def test_policies_of_replicas_are_neither_added_nor_removed():
    algorithm = game_config().training(replicas=2).build_algo()
    try:
        with pytest.raises(ValueError, match=r"`replicas` is 2; allowed for add_module\(\): 1"):
            algorithm.add_module("newcomer", RLModuleSpec())
        with pytest.raises(ValueError, match=r"allowed for remove_module\(\): 1"):
            algorithm.remove_module("player_0@0")
    finally:
        algorithm.stop()


def test_a_checkpoint_with_an_added_policy_is_restored_as_a_whole_or_refused(tmp_path):
    algorithm, restored, other = game_config().build_algo(), None, game_config().build_algo()
    try:
        algorithm.train()
        spec = RLModuleSpec.from_module(algorithm.get_module("player_0"))
        add_newcomer(algorithm, spec, ["newcomer", "player_1"])
        algorithm.train()
        algorithm.save_to_path(str(tmp_path))
        restored = Algorithm.from_checkpoint(str(tmp_path))
        for policy in ("newcomer", "player_0", "player_1"):
            assert not unequal(weights(algorithm, policy), weights(restored, policy))
        groups = restored.learner_group._learner.groups
        ids = sorted(policy for group in groups for policy in group.ids)
        assert ids == ["newcomer", "player_0", "player_1"]
        before = weights(restored, "newcomer")
        result = restored.train()
        assert unequal(weights(restored, "newcomer"), before)
        assert result["learners"]["newcomer"]["alpha"] == pytest.approx(0.5)
        with pytest.raises(ValueError, match="has the policy 'newcomer'; this algorithm's are"):
            other.restore_from_path(str(tmp_path))
    finally:
        for one in (algorithm, restored, other):
            if one is not None:
                one.stop()
