"""PR2-Q on the coordination grid.

Of 200 trials 92 had converged after 100 episodes and 197 after 300: a share of 0.985, 95 % interval
[0.957, 0.995] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import PR2Q

learner = PR2Q
settings = {
    "learning_rate": 0.511,
    "initial_q": 12.0,
    "batch_size": 16,
    "temperature": {"initial": 339.0, "final": 0.107, "decay_steps": 521, "kind": "exponential"},
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
