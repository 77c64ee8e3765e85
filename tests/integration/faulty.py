"""An environment with a fault, at a time that a test chooses."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from small import own_policy

from rommeo_rllib import ROMMEOACConfig

AGENTS = ["player_0", "player_1"]
FAULTS = {
    "raises": "RuntimeError: the power is off",
    "hangs": "TimeoutError: The environment's step.. has taken longer than 0.5 s",
    "nan_reward": "ValueError: FaultyEnv: agent 'player_0' received the reward nan",
    "nan_observation": "ValueError: FaultyEnv: agent 'player_0' received the observation .*nan",
}
"""What is said of each fault."""


class FaultyEnv(MultiAgentEnv):
    """Two agents are paid for choosing alike.

    Args:
        config: "fault", a key of `FAULTS`, or None; "at", the step of an environment's life at
            which it appears.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.fault, self.at = config["fault"], config.get("at", 25)
        self.possible_agents = self.agents = AGENTS
        box = gym.spaces.Box(0.0, 1.0, (1,), np.float32)
        self.observation_spaces = dict.fromkeys(AGENTS, box)
        self.action_spaces = dict.fromkeys(AGENTS, gym.spaces.Discrete(2))
        self.steps = 0

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        return {agent: np.zeros(1, np.float32) for agent in AGENTS}, {}

    def step(self, action_dict: Mapping[str, Any]):
        self.steps += 1
        present = self.fault if self.steps == self.at else None
        if present == "raises":
            raise RuntimeError("the power is off")
        if present == "hangs":
            time.sleep(60)
        reward = np.nan if present == "nan_reward" else float(len(set(action_dict.values())) == 1)
        value = np.nan if present == "nan_observation" else 0.0
        observations = {agent: np.full(1, value, np.float32) for agent in AGENTS}
        over = {"__all__": self.steps % 5 == 0}
        return observations, dict.fromkeys(AGENTS, reward), over, {"__all__": False}, {}


def faulty_config(fault: Any = None) -> ROMMEOACConfig:
    """40 env steps an iteration; a step that takes half a second is taken to hang."""
    return (
        ROMMEOACConfig()
        .environment(FaultyEnv, env_config={"fault": fault}, disable_env_checking=True)
        .multi_agent(policies=set(AGENTS), policy_mapping_fn=own_policy)
        .training(
            alpha=1.0,
            train_batch_size_per_learner=16,
            num_steps_sampled_before_learning_starts=10,
            env_time_limit_s=0.5,
        )
        .rl_module(model_config={"fcnet_hiddens": [8]})
        .reporting(min_sample_timesteps_per_iteration=40)
        .debugging(seed=0)
    )
