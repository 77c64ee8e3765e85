"""Opponents that do not learn, are of another kind, or are not modelled at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from environments import AnySpacesEnv
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from small import assert_finite, own_policy, policy_of
from test_any_spaces import LOSSES, spaces_config

from rommeo_rllib import ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")

SEEN = Box(-1.0, 1.0, (3,), np.float32)
SPACES: dict[str, Any] = {
    "a": (SEEN, Discrete(3)),
    "b": (SEEN, MultiDiscrete([2, 2])),
    "c": (SEEN, Box(-1.0, 1.0, (2,), np.float32)),
}


def against_random(**multi_agent: Any) -> ROMMEOACConfig:
    specs = {"a": RLModuleSpec(), "b": RLModuleSpec(module_class=RandomRLModule)}
    return (
        spaces_config({name: SPACES[name] for name in "ab"})
        .rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        .multi_agent(**multi_agent)
    )


@pytest.mark.parametrize("multi_agent", [{}, {"policies_to_train": ["a"]}])
def test_an_opponent_of_another_kind_is_modelled_but_not_trained(multi_agent):
    algorithm = against_random(**multi_agent).build_algo()
    try:
        learners = algorithm.train()["learners"]
        assert_finite(learners["a"], LOSSES)
        assert "b" not in learners
        assert isinstance(policy_of(algorithm, "b").unwrapped(), RandomRLModule)
        batches = algorithm.replay_buffer.sample(["a"], 8)
        # Its actions are seen as they were: two choices of two.
        assert (batches["a"]["opponent_actions"].sum(-1) == 2).all()
    finally:
        algorithm.stop()


def test_to_train_an_opponent_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"`policies_to_train` names 'b'.*RandomRLModule"):
        against_random(policies_to_train=["a", "b"]).build_algo()


def test_agents_learn_with_those_only_whom_they_model():
    config = spaces_config(SPACES).training(opponent_groups={"a": ["c"], "c": ["a", "b"]})
    algorithm = config.build_algo()
    try:
        learners = algorithm.train()["learners"]
        sizes = {name: policy_of(algorithm, name).opponent_action_size for name in SPACES}
        batches = algorithm.replay_buffer.sample(list(SPACES), 8)
    finally:
        algorithm.stop()
    # Flat actions: 3 of "a", 4 of "b", 2 of "c".
    assert sizes == {"a": 2, "b": 5, "c": 7}
    for name in SPACES:
        assert_finite(learners[name], LOSSES)
        assert batches[name]["opponent_actions"].shape == (8, sizes[name])


def test_a_scripted_opponent_is_predicted_and_answered():
    """Matching pennies against one that always shows the same side, for 300 plays."""
    config = (
        ROMMEOACConfig()
        .environment(PenniesEnv)
        .multi_agent(policies={"a", "b"}, policy_mapping_fn=own_policy)
        .rl_module(
            model_config={"fcnet_hiddens": [16]},
            rl_module_spec=MultiRLModuleSpec(
                rl_module_specs={
                    "a": RLModuleSpec(),
                    "b": RLModuleSpec(module_class=AlwaysTheSame),
                }
            ),
        )
        .training(
            gamma=0.0,
            alpha=0.1,
            train_batch_size_per_learner=32,
            num_steps_sampled_before_learning_starts=20,
            **dict.fromkeys(["q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr"], 0.01),
        )
        .reporting(min_sample_timesteps_per_iteration=300)
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        policy = policy_of(algorithm, "a")
        with torch.no_grad():
            predicted = policy.opponent_model(torch.ones(1, 1)).class_log_probs().exp()
            answer = policy.act(torch.ones(1, 1), explore=False)
    finally:
        algorithm.stop()
    assert predicted[0, 1] > 0.9
    assert answer.argmax() == 1


class AlwaysTheSame(RandomRLModule):
    """Shows side 1."""

    def _forward(self, batch, **kwargs):
        return {"actions": np.ones(len(batch["obs"]), int)}


class PenniesEnv(AnySpacesEnv):
    """The first agent wins if both show the same side, the second otherwise."""

    def __init__(self, config: Any):
        spaces = dict.fromkeys("ab", (Discrete(1), Discrete(2)))
        super().__init__({"spaces": spaces, "length": 20})

    def step(self, action_dict):
        observations, _, *ends, infos = super().step(action_dict)
        won = 1.0 if action_dict["a"] == action_dict["b"] else -1.0
        return observations, {"a": won, "b": -won}, *ends, infos
