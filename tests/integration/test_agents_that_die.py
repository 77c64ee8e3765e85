"""What the Q-function converges to where an action decides who is there at the next step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from representative import cases
from small import own_policy, policy_of

from rommeo_rllib import MADDPGConfig, MASQLConfig, PR2ACConfig, ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")

GAMMA = 0.9


class LiveOrDie(MultiAgentEnv):
    """Three steps. What "a" does at the first decides whether "b" lives on.

    "a" is paid 1 at the second step if "b" is there, and nothing else.

    Args:
        config: "tells", whether observations say who lives; "box", whether actions are Boxes.
    """

    def __init__(self, config: Mapping[str, Any]):
        super().__init__()
        self.possible_agents = self.agents = ["a", "b"]
        self.tells = config["tells"]
        self.observation_spaces = dict.fromkeys(self.agents, Discrete(8))
        action = Box(-1.0, 1.0, (1,), np.float32) if config["box"] else Discrete(2)
        self.action_spaces = dict.fromkeys(self.agents, action)

    def reset(self, *, seed=None, options=None):
        self.time, self.lives = 0, True
        return self._observe(), {}

    def step(self, action_dict):
        paid = float(self.time == 1 and "b" in action_dict)
        dies = self.time == 0 and float(np.ravel(action_dict["a"])[0]) <= 0
        self.time += 1
        observations = self._observe()
        rewards = {agent: paid * (agent == "a") for agent in observations}
        ends = {"b": dies, "__all__": self.time == 3}
        self.lives = self.lives and not dies
        observations |= {"a": self._seen()}
        if not (self.lives or dies):
            del ends["b"]
        return observations, rewards, ends, {"__all__": False}, {}

    def _observe(self):
        return dict.fromkeys(["a", "b"] if self.lives else ["a"], self._seen())

    def _seen(self):
        return self.time + 4 * (self.tells and not self.lives)


def learned_q(config: Any, tells: bool) -> tuple[float, float]:
    """Q of dying and of living at the first step, mean over what "b" does then."""
    is_box = not isinstance(config, ROMMEOACConfig)
    config = (
        config.environment(LiveOrDie, env_config={"tells": tells, "box": is_box})
        .multi_agent(policies={"a", "b"}, policy_mapping_fn=own_policy)
        .training(
            gamma=GAMMA,
            q_lr=[[0, 0.01], [300, 0.01], [600, 1e-4]],
            policy_lr=1e-3,
            tau=0.5,
            train_batch_size_per_learner=64,
            updates_per_env_step=2.0,
            num_steps_sampled_before_learning_starts=150,
            random_warm_up=True,
        )
        .rl_module(model_config={"fcnet_hiddens": [16]})
        .reporting(min_sample_timesteps_per_iteration=600)
        .debugging(seed=0)
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        policy = policy_of(algorithm, "a")
        observations = policy.encode(torch.zeros(2, dtype=torch.long))
        if hasattr(policy, "joint_observations"):
            b_sees = [torch.zeros(2, dtype=torch.long)]
            observations = policy.joint_observations(observations, b_sees, torch.ones(2, 1))
        own = torch.tensor([[-0.5], [0.5]]) if is_box else torch.eye(2)
        others = torch.tensor([[-0.5], [0.5]]) if is_box else torch.eye(2)
        with torch.no_grad():
            q = [policy.critic(observations, own, other.expand(2, -1)) for other in others]
        dying, living = torch.stack(q).mean(0).tolist()
        return dying, living
    finally:
        algorithm.stop()


@pytest.mark.parametrize("tells", cases([False, True], [True]))
def test_who_dies_is_not_expected_to_act_at_the_next_step(tells):
    config = ROMMEOACConfig().training(alpha=1e-3, kl_coeff=0.0)
    dying, living = learned_q(config, tells)
    assert dying == pytest.approx(0.0, abs=0.15)
    assert living == pytest.approx(GAMMA, abs=0.15)


@pytest.mark.slow
@pytest.mark.parametrize(
    "config",
    [
        MADDPGConfig().training(exploration_noise=1.0),
        MASQLConfig().training(alpha=1e-2),
        PR2ACConfig().training(exploration_noise=1.0, alpha=1e-2),
    ],
    ids=lambda config: config.algo_class.__name__,
)
def test_rivals_do_not_expect_who_dies_to_act_at_the_next_step(config):
    # An absent opponent's action is 0 to their Q, which may be a present one's: what is seen tells.
    dying, living = learned_q(config, tells=True)
    assert dying == pytest.approx(0.0, abs=0.2)
    assert living == pytest.approx(GAMMA, abs=0.2)
