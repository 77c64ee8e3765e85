"""Policies that are added to a running algorithm, and removed from it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import ray
import torch
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from representative import cases
from small import game_config, own_policy

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.joint_action.modules.optimizer_state import network_states

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


@pytest.mark.parametrize("env_runners", cases([0, 1], [0]))
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


@pytest.mark.slow
def test_an_env_runner_that_is_started_again_plays_the_policies_that_came_since():
    algorithm = game_config().env_runners(num_env_runners=1).build_algo()
    try:
        algorithm.train()
        added(algorithm)
        (env_runner,) = algorithm.env_runner_group._worker_manager.actors().values()
        ray.kill(env_runner, no_restart=False)
        algorithm.train()
        wait_for(
            lambda: algorithm.train() and algorithm.env_runner_group.num_healthy_remote_workers()
        )
        result = algorithm.train()
        assert result["env_runners"]["num_module_steps_sampled"] == {"newcomer": 40, "player_1": 40}
    finally:
        algorithm.stop()


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def test_an_added_policy_of_another_kind_plays_in_rllibs_own_way():
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        own = algorithm.get_module("player_0")
        spec = RLModuleSpec(RandomRLModule, own.observation_space, own.action_space)
        assert algorithm.env_runner.uses_fast_path
        add_newcomer(algorithm, spec, ["player_1"])
        assert not algorithm.env_runner.uses_fast_path
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


def added(algorithm: Any) -> None:
    spec = RLModuleSpec.from_module(algorithm.get_module("player_0"))
    add_newcomer(algorithm, spec, ["newcomer", "player_1"])


def added_and_player_0_removed(algorithm: Any) -> None:
    added(algorithm)
    algorithm.train()
    algorithm.remove_module(
        "player_0",
        new_agent_to_module_mapping_fn=newcomer_plays_first,
        new_should_module_be_updated=["newcomer", "player_1"],
    )


def player_0_replaced(algorithm: Any, hidden: int = 8) -> None:
    spec = RLModuleSpec.from_module(algorithm.get_module("player_0"))
    spec.model_config = {**spec.model_config, "fcnet_hiddens": [hidden]}
    added_and_player_0_removed(algorithm)
    algorithm.train()
    algorithm.add_module(
        "player_0",
        spec,
        new_agent_to_module_mapping_fn=own_policy,
        new_should_module_be_updated=["newcomer", "player_0", "player_1"],
    )


def player_0_replaced_by_another_network(algorithm: Any) -> None:
    player_0_replaced(algorithm, hidden=16)


def made_from_it(algorithm: Any, path: str) -> Any:
    return Algorithm.from_checkpoint(path)


def restored_into_a_new_one(algorithm: Any, path: str) -> Any:
    other = game_config().build_algo()
    other.restore_from_path(path)
    return other


def restored_into_one_that_has_trained(algorithm: Any, path: str) -> Any:
    other = game_config().build_algo()
    for _ in range(5):
        other.train()
    other.set_state(algorithm.get_state())
    return other


def learned(algorithm: Any) -> dict[Any, Any]:
    """Groups, weights, optimizers' states and who plays and learns."""
    learner = algorithm.learner_group._learner
    states = network_states(learner.get_state(components="optimizer")["optimizer"])
    found: dict[Any, Any] = {
        "groups": [group.ids for group in learner.groups],
        "playing": [algorithm.config.policy_mapping_fn(f"player_{i}") for i in (0, 1)],
        "learning": algorithm._policies_to_train(),
        "overrides": dict(algorithm.config.algorithm_config_overrides_per_module),
    }
    for policy, module in learner.module.items():
        found |= {(policy, name): value.clone() for name, value in module.state_dict().items()}
    for network, parameters in states.items():
        for number, state in enumerate(parameters):
            found |= {(*network, number, name): value for name, value in (state or {}).items()}
    for policy, module in algorithm.env_runner.module.items():
        for name, value in module.policy_network.state_dict().items():
            found["acting", policy, name] = value.clone()
    return found


def assert_the_same(one: dict[Any, Any], other: dict[Any, Any]) -> None:
    assert one.keys() == other.keys()
    for key, value in one.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[key]), key
        else:
            assert value == other[key], key


@pytest.mark.parametrize(
    "restore",
    cases(
        [made_from_it, restored_into_a_new_one, restored_into_one_that_has_trained],
        [restored_into_one_that_has_trained],
    ),
)
@pytest.mark.parametrize(
    "change",
    cases(
        [
            added,
            added_and_player_0_removed,
            player_0_replaced,
            player_0_replaced_by_another_network,
        ],
        [added_and_player_0_removed, player_0_replaced_by_another_network],
    ),
)
def test_policies_that_came_and_went_are_restored_and_go_on_bit_by_bit(change, restore, tmp_path):
    algorithm, restored = game_config().build_algo(), None
    try:
        algorithm.train()
        change(algorithm)
        algorithm.train()
        restored = restore(algorithm, algorithm.save_to_path(str(tmp_path)))
        assert_the_same(learned(algorithm), learned(restored))
        before = learned(restored)
        algorithm.train()
        restored.train()
        assert_the_same(learned(algorithm), learned(restored))
        assert unequal({k: v for k, v in before.items() if k[0] == "newcomer"}, learned(restored))
    finally:
        for one in (algorithm, restored):
            if one is not None:
                one.stop()


def test_an_earlier_checkpoint_takes_back_what_was_added_since(tmp_path):
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        algorithm.save_to_path(str(tmp_path))
        before = learned(algorithm)
        player_0_replaced_by_another_network(algorithm)
        algorithm.train()
        algorithm.restore_from_path(str(tmp_path))
        assert_the_same(before, learned(algorithm))
    finally:
        algorithm.stop()


def test_a_policy_that_only_the_learner_was_given_is_restored(tmp_path):
    algorithm, restored = game_config().build_algo(), None
    try:
        algorithm.train()
        spec = RLModuleSpec.from_module(algorithm.get_module("player_0"))
        algorithm.learner_group.foreach_learner(
            lambda learner: learner.add_module(module_id="newcomer", module_spec=spec)
        )
        algorithm.train()
        restored = Algorithm.from_checkpoint(algorithm.save_to_path(str(tmp_path)))
        for policy in ("newcomer", "player_0", "player_1"):
            assert not unequal(weights(algorithm, policy), weights(restored, policy))
        restored.train()
    finally:
        for one in (algorithm, restored):
            if one is not None:
                one.stop()


@pytest.mark.parametrize("through", cases(["path", "state"], ["path"]))
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_config": {"fcnet_hiddens": [16]}}, "policy 'player_0' does not fit .*`.*` is"),
        ({"policies": {"player_0", "player_1", "x"}}, "lacks the policy 'x'"),
        ({"policies": {"player_0"}}, "has the policy 'player_1'"),
    ],
)
def test_what_cannot_be_restored_is_refused_before_anything_is_changed(
    change, said, through, tmp_path
):
    config = game_config()
    if "policies" in change:
        mapping = own_policy if len(change["policies"]) > 1 else player_0_only
        config.multi_agent(policies=change["policies"], policy_mapping_fn=mapping)
    else:
        config.rl_module(**change)
    algorithm, other = game_config().build_algo(), config.build_algo()
    try:
        algorithm.train()
        path = algorithm.save_to_path(str(tmp_path))
        before = learned(other)
        restore = other.restore_from_path if through == "path" else other.set_state
        with pytest.raises(ValueError, match=said):
            restore(path if through == "path" else algorithm.get_state())
        assert_the_same(before, learned(other))
    finally:
        algorithm.stop()
        other.stop()


def player_0_only(*args: Any, **kwargs: Any) -> str:
    return "player_0"
