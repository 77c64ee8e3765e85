"""DDPG-OM on Max of Two Quadratics with the settings of the paper's authors.

For comparison only; see docs/results.md for how often it finds the optimum.
"""

from rommeo_rllib import DDPGOMConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import (
    AUTHORS_DDPG,
    PLAYS_PER_EPISODE,
    set_up_as_authors,
)

config = set_up_as_authors(DDPGOMConfig()).training(
    **AUTHORS_DDPG, opponent_model_lr=0.01, opponent_window=512
)

stop = {"num_env_steps_sampled_lifetime": 200 * PLAYS_PER_EPISODE}
