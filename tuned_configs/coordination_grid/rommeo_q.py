"""ROMMEO-Q on the coordination grid.

Of 200 trials 44 had converged after 100 episodes and 94 after 300: a share of 0.470, 95 % interval
[0.402, 0.539] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQ

learner = ROMMEOQ
settings = {
    "learning_rate": 0.0758,
    "initial_q": [0.0, 1.0],
    "batch_size": None,
    "alpha": {"initial": 6.11, "final": 0.61, "decay_steps": 186, "kind": "exponential"},
    "prior_window": None,
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
