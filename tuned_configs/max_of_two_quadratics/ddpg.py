"""Independent DDPG on Max of Two Quadratics.

Of 20 seeds, 2 (0.10 [0.03, 0.30], 95 % Wilson) end at the global optimum on the
printed surface and 1 (0.05 [0.01, 0.24]) on the authors', 1 500 env steps each:
`rommeo reproduce figure-2 --algorithms DDPG`, and the same with `--surface authors`.
Settings by `python benchmarks/tune_baselines.py --algorithms DDPG`.
"""

from rommeo_rllib import DDPGConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

config = set_up(DDPGConfig()).training(
    q_lr=0.0134,
    policy_lr=0.00102,
    num_steps_sampled_before_learning_starts=250,
    exploration_noise={"initial": 0.217, "final": 0.0192, "decay_steps": 209},
)

stop = {"num_env_steps_sampled_lifetime": 60 * PLAYS_PER_EPISODE}
