"""ROMMEO-AC on foraging: two players on 5 x 5 fields, who must load the food together.

After 20 000 env steps the return of an episode, at most 1, is 0.30 [0.11, 0.50] (5 seeds, mean of
the last 100 episodes with exploration; `python benchmarks/compare_sac.py --games "level-based
foraging"`). Greedily it is 0.14 [0.02, 0.35] where it is 0.35 [0.12, 0.62] with exploration, since
greedy agents can block each other (6 seeds; `python benchmarks/greedy.py --games "level-based
foraging" --seeds 6`).
"""

from rommeo_rllib.tuned_configs.foraging import TRAINING_STEPS, make_config

config = make_config()

stop = {"num_env_steps_sampled_lifetime": TRAINING_STEPS}
