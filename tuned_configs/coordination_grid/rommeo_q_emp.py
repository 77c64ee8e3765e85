"""ROMMEO-Q-EMP on the coordination grid.

Of 200 trials 13 had converged after 100 episodes and 40 after 300: a share of 0.200, 95 % interval
[0.150, 0.261] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import ROMMEOQEMP

learner = ROMMEOQEMP
settings = {
    "learning_rate": 0.255,
    "initial_q": [0.0, 1.0],
    "batch_size": None,
    "alpha": {"initial": 40.7, "final": 0.252, "decay_steps": 38, "kind": "exponential"},
    "prior_window": 50,
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
