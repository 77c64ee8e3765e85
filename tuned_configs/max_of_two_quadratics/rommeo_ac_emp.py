"""ROMMEO-AC-EMP on Max of Two Quadratics.

Of 20 seeds, 0 (0.00 [0.00, 0.16], 95 % Wilson) end at the global optimum on the
printed surface and 0 (0.00 [0.00, 0.16]) on the authors', 1 500 env steps each:
`rommeo reproduce figure-2 --algorithms ROMMEO-AC-EMP`, and the same with `--surface authors`.
Settings by `python benchmarks/tune_baselines.py --algorithms ROMMEO-AC-EMP`.
"""

from rommeo_rllib import ROMMEOACEMPConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

config = set_up(ROMMEOACEMPConfig()).training(
    prior_window=64,
    q_lr=0.00373,
    policy_lr=0.00444,
    num_steps_sampled_before_learning_starts=250,
    opponent_prior_lr=0.00805,
    alpha={"initial": 86.3, "final": 0.031, "decay_steps": 637},
)

stop = {"num_env_steps_sampled_lifetime": 60 * PLAYS_PER_EPISODE}
