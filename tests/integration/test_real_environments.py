"""Environments that others wrote: a few steps and updates of each."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from gymnasium.spaces import Discrete
from ray.rllib.examples.envs.classes.multi_agent.two_step_game import TwoStepGame
from small import assert_finite

from rommeo_rllib import ROMMEOACConfig

pytestmark = pytest.mark.usefixtures("ray_session")

LOSSES = ["q_loss", "policy_loss", "opponent_model_loss", "prior_loss"]
FEW = {"num_steps_sampled_before_learning_starts": 20, "train_batch_size_per_learner": 16}


def train_a_little(config: ROMMEOACConfig) -> None:
    config.training(**FEW).rl_module(model_config={"fcnet_hiddens": [16]})
    algorithm = config.reporting(min_sample_timesteps_per_iteration=30).build_algo()
    try:
        learners = algorithm.train()["learners"]
        for policy in config.policies:
            assert_finite(learners[policy], LOSSES)
    finally:
        algorithm.stop()


@pytest.mark.parametrize("game", ["simple_spread", "simple_reference", "simple_tag"])
def test_particle_games_train(game):
    pytest.importorskip("mpe2")
    module = import_module(f"rommeo_rllib.tuned_configs.mpe.{game}")
    train_a_little(module.config.copy(copy_frozen=False).training(updates_per_env_step=0.5))


def test_foraging_trains_and_time_running_out_is_a_truncation():
    pytest.importorskip("lbforaging")
    from rommeo_rllib.envs.foraging import Foraging
    from rommeo_rllib.tuned_configs.foraging import make_config

    train_a_little(make_config(agents=3).training(updates_per_env_step=0.5))
    game = Foraging(max_episode_steps=1)
    game.reset(seed=0)
    *_, terminations, truncations, _ = game.step({"player_0": 0, "player_1": 0})
    assert (terminations, truncations) == (
        {"player_0": False, "player_1": False},
        {"player_0": True, "player_1": True},
    )
    assert game.agents == []


class PlainTwoStepGame(TwoStepGame):
    """With a space for each agent, as the new API stack wants it."""

    def __init__(self, config: Any):
        super().__init__(config)
        self.possible_agents = self.agents = [0, 1]
        self.observation_spaces = dict.fromkeys(self.agents, Discrete(6))
        self.action_spaces = dict.fromkeys(self.agents, Discrete(2))


def test_rllibs_two_step_game_trains():
    config = (
        ROMMEOACConfig()
        .environment(PlainTwoStepGame)
        .multi_agent(
            policies={"p0", "p1"},
            policy_mapping_fn=lambda agent, *args, **kwargs: f"p{agent}",
        )
    )
    train_a_little(config)
