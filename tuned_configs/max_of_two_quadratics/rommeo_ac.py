"""ROMMEO-AC on Max of Two Quadratics.

100 of 100 seeds (1.00 [0.96, 1.00], 95 % Wilson) keep a sampled return per play above 9 on either
surface, on the printed one from episode 29 at the latest (99 of them from 23, median 15), on the
authors' from episode 24 (median 16); 750 env steps each.
`python benchmarks/ablations.py --variants default`. With other random numbers (`--leads`) 99 and 98
of 100 do.
"""

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.tuned_configs.max_of_two_quadratics import PLAYS_PER_EPISODE, set_up

ANNEALING_STEPS = 250

config = set_up(ROMMEOACConfig()).training(
    alpha={"initial": 20.0, "final": 0.1, "decay_steps": ANNEALING_STEPS},
    kl_coeff={"initial": 20.0, "final": 2.0, "decay_steps": ANNEALING_STEPS},
    q_lr=0.01,
    policy_lr=0.01,
    opponent_model_lr=0.01,
    opponent_prior_lr=0.01,
)

stop = {"num_env_steps_sampled_lifetime": 30 * PLAYS_PER_EPISODE}
