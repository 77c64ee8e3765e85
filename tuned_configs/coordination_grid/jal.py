"""JAL on the coordination grid.

Of 200 trials 0 had converged after 100 episodes and 194 after 300: a share of 0.970, 95 % interval
[0.936, 0.986] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import JAL

learner = JAL
settings = {
    "learning_rate": 0.13,
    "initial_q": 12.0,
    "batch_size": None,
    "temperature": {"initial": 18.6, "final": 0.0852, "decay_steps": 755, "kind": "linear"},
    "prior_window": 50,
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
