"""ROMMEO-AC on Max of Two Quadratics.

Of 100 seeds, 100 (1.00 [0.96, 1.00], 95 % Wilson) end with a sampled return per play above 9 on the
printed surface, median from episode 14 on, and 97 (0.97 [0.92, 0.99]) on the authors', median 15;
750 env steps each. `rommeo train max_of_two_quadratics/rommeo_ac --num-samples 100`, and the same
with `--set env_config.surface=authors`.
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
