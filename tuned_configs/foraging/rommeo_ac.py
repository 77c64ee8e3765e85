"""ROMMEO-AC on foraging: two players on 5 x 5 fields, who must load the food together.

After 20 000 env steps the return of an episode, at most 1, is 0.30 [0.11, 0.50] (5 seeds, mean of
the last 100 episodes with exploration); greedily 0.07 [0.02, 0.12], as two that leave nothing to
chance block each other for good. `python benchmarks/compare_sac.py --games "level-based foraging"`.
"""

from rommeo_rllib.tuned_configs.foraging import TRAINING_STEPS, make_config

config = make_config()

stop = {"num_env_steps_sampled_lifetime": TRAINING_STEPS}
