"""Stacked frames: what policies see, what the replay holds, and that it serves as a memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from environments import AnySpacesEnv
from gymnasium.spaces import Box, Discrete
from ray.rllib.connectors.env_to_module.frame_stacking import FrameStackingEnvToModule
from small import own_policy

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.frame_stacking import StackFrames

pytestmark = pytest.mark.usefixtures("ray_session")

LENGTH = 3


class RecallEnv(AnySpacesEnv):
    """A cue is shown at first; the last action must repeat it.

    Observations are [cue or 0, time].
    """

    def __init__(self, config: Mapping[str, Any]):
        spaces = dict.fromkeys("ab", (Box(-1.0, LENGTH, (2,), np.float32), Discrete(2)))
        super().__init__({"spaces": spaces, "length": LENGTH})
        self.rng = np.random.default_rng(config.get("seed", 0))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        self.cue = int(self.rng.integers(2))
        return super().reset(seed=seed, options=options)

    def step(self, action_dict: Mapping[str, Any]):
        observations, _, *ends, infos = super().step(action_dict)
        right = self.time == LENGTH and all(a == self.cue for a in action_dict.values())
        return observations, dict.fromkeys("ab", float(right)), *ends, infos

    def _observe(self) -> dict[str, Any]:
        seen = np.array([2 * self.cue - 1 if self.time == 0 else 0, self.time], np.float32)
        return {agent: seen.copy() for agent in "ab"}


def recall_config(num_frames: int) -> ROMMEOACConfig:
    rates = dict.fromkeys(["q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr"], 0.005)
    return (
        ROMMEOACConfig()
        .environment(RecallEnv)
        .multi_agent(policies={"a", "b"}, policy_mapping_fn=own_policy)
        .env_runners(env_to_module_connector=lambda *args: StackFrames(num_frames=num_frames))
        .training(
            gamma=0.9,
            alpha={"initial": 0.5, "final": 0.01, "decay_steps": 400},
            tau=0.05,
            updates_per_env_step=0.5,
            train_batch_size_per_learner=32,
            num_steps_sampled_before_learning_starts=50,
            **rates,
        )
        .rl_module(model_config={"fcnet_hiddens": [32]})
        .reporting(min_sample_timesteps_per_iteration=900)
        .debugging(seed=0)
    )


@pytest.mark.parametrize("fragment", [1, 4])
def test_the_replay_holds_the_frames_that_the_policies_saw(fragment):
    config = recall_config(3).env_runners(rollout_fragment_length=fragment)
    config.training(num_steps_sampled_before_learning_starts=1000)
    algorithm = config.reporting(min_sample_timesteps_per_iteration=12).build_algo()
    try:
        algorithm.train()
        arrays = algorithm.replay_buffer.get_state()["arrays"]
    finally:
        algorithm.stop()
    for observed, following in zip(arrays["0/obs"], arrays["0/new_obs"], strict=True):
        *_, time = observed
        frames = observed.reshape(3, 2)
        # Zeros before the first observation, then one frame for each time.
        expected = [0.0] * (2 - int(time)) + list(range(int(time) + 1))
        assert frames[:, 1].tolist() == expected
        np.testing.assert_array_equal(following[:4], observed[2:])
        assert following[-1] == time + 1


def test_agents_recall_what_they_saw_two_steps_ago():
    algorithm = recall_config(3).build_algo()
    try:
        algorithm.train()
        policies = {name: algorithm.get_module(name) for name in "ab"}
    finally:
        algorithm.stop()
    for cue in (-1.0, 1.0):
        frames = torch.tensor([[cue, 0.0, 0.0, 1.0, 0.0, 2.0]])
        for policy in policies.values():
            with torch.no_grad():
                action = policy.forward_inference({"obs": frames})["actions"]
            assert action.item() == (cue > 0)


def test_rllibs_own_stacking_is_refused_since_the_replay_would_not_see_it():
    spaces = dict.fromkeys("ab", (Box(0, 1, (4, 4, 1), np.float32), Discrete(2)))
    config = recall_config(2).environment(AnySpacesEnv, env_config={"spaces": spaces})
    config.env_runners(
        env_to_module_connector=lambda *args: FrameStackingEnvToModule(
            num_frames=2, multi_agent=True
        )
    )
    with pytest.raises(ValueError, match=r"use rommeo_rllib.frame_stacking.StackFrames"):
        config.build_algo()


def test_frames_of_spaces_that_cannot_be_stacked_are_refused():
    spaces = dict.fromkeys("ab", (Discrete(3), Discrete(2)))
    config = recall_config(2).environment(AnySpacesEnv, env_config={"spaces": spaces})
    with pytest.raises(ValueError, match=r"Agent 'a' has the observation space Discrete\(3\)"):
        config.build_algo()
