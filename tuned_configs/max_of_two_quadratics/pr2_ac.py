"""PR2-AC on Max of Two Quadratics.

Of 20 seeds, 17 (0.85 [0.64, 0.95], 95 % Wilson) end at the global optimum on the
printed surface and 12 (0.60 [0.39, 0.78]) on the authors', 1 500 env steps each:
`rommeo reproduce figure-2 --algorithms PR2-AC`, and the same with `--surface authors`.
Settings by `python benchmarks/tune_baselines.py --algorithms PR2-AC`.
"""

from rommeo_rllib import PR2ACConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

config = set_up(PR2ACConfig()).training(
    q_lr=0.00373,
    policy_lr=0.00444,
    num_steps_sampled_before_learning_starts=250,
    opponent_model_lr=0.00805,
    alpha={"initial": 86.3, "final": 0.031, "decay_steps": 637},
    exploration_noise={"initial": 0.957, "final": 0.0419, "decay_steps": 594},
)

stop = {"num_env_steps_sampled_lifetime": 60 * PLAYS_PER_EPISODE}
