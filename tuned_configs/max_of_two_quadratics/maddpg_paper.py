"""MADDPG on Max of Two Quadratics with the settings of the paper's authors.

For comparison only; see docs/results.md for how often it finds the optimum.
"""

from rommeo_rllib import MADDPGConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import (
    AUTHORS_DDPG,
    PLAYS_PER_EPISODE,
    set_up_as_authors,
)

config = set_up_as_authors(MADDPGConfig()).training(**AUTHORS_DDPG)

stop = {"num_env_steps_sampled_lifetime": 200 * PLAYS_PER_EPISODE}
