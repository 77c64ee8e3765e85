"""ROMMEO-AC on Max of Two Quadratics with the authors' own settings.

For comparison only; see docs/results.md for how often it finds the optimum.
"""

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

config = set_up(ROMMEOACConfig()).paper_settings()
config.environment(env_config={**config.env_config, "constant_observation": 0.0})

stop = {"num_env_steps_sampled_lifetime": 30 * PLAYS_PER_EPISODE}
