"""MADDPG on Max of Two Quadratics.

Of 20 seeds, 2 (0.10 [0.03, 0.30], 95 % Wilson) end at the global optimum on the
printed surface and 7 (0.35 [0.18, 0.57]) on the authors', 1 500 env steps each:
`rommeo reproduce figure-2 --algorithms MADDPG`, and the same with `--surface authors`.
Settings by `python benchmarks/tune_baselines.py --algorithms MADDPG`.
"""

from rommeo_rllib import MADDPGConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

config = set_up(MADDPGConfig()).training(
    q_lr=0.00902,
    policy_lr=0.00122,
    num_steps_sampled_before_learning_starts=25,
    exploration_noise={"initial": 0.406, "final": 0.0465, "decay_steps": 346},
)

stop = {"num_env_steps_sampled_lifetime": 60 * PLAYS_PER_EPISODE}
