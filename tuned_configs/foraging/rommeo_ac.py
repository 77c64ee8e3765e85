"""ROMMEO-AC on foraging: two players on 5 x 5 fields, who must load the food together.

`rommeo train foraging/rommeo_ac`.
"""

from rommeo_rllib.tuned_configs.foraging import TRAINING_STEPS, make_config

config = make_config()

stop = {"num_env_steps_sampled_lifetime": TRAINING_STEPS}
