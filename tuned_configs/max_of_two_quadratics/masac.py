"""MASAC on Max of Two Quadratics.

Of 20 seeds, 8 (0.40 [0.22, 0.61], 95 % Wilson) end at the global optimum on the printed surface and
0 (0.00 [0.00, 0.16]) on the authors', 1 500 env steps each:
`rommeo train max_of_two_quadratics/masac --num-samples 20`, and the same with
`--set env_config.surface=authors`.
Settings by `python benchmarks/tune_baselines.py --algorithms MASAC`.
"""

from rommeo_rllib import MASACConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

config = set_up(MASACConfig()).training(
    q_lr=0.0032,
    policy_lr=0.00445,
    num_steps_sampled_before_learning_starts=250,
    alpha={"initial": 53.3, "final": 0.104, "decay_steps": 248},
)

stop = {"num_env_steps_sampled_lifetime": 60 * PLAYS_PER_EPISODE}
