"""ROMMEO-AC on Max of Two Quadratics for any constant alpha: resampled, after 150 random plays.

With a constant alpha nothing makes the agents explore at first; random plays do, and the resampled
opponent model tells the better one of several modes. Costs about three times as much as
`max_of_two_quadratics/rommeo_ac`; see docs/deviations.md for how often it finds the optimum.
"""

from rommeo_rllib.tuned_configs.max_of_two_quadratics import rommeo_ac

RANDOM_PLAYS = 150

config = rommeo_ac.config.copy(copy_frozen=False).training(
    alpha=0.5,
    opponent_model="resampled",
    random_warm_up=True,
    num_steps_sampled_before_learning_starts=RANDOM_PLAYS,
)

stop = dict(rommeo_ac.stop)
