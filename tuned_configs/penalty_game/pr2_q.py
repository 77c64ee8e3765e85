"""PR2-Q on the penalty game, k = -100.

Of 1000 trials 1000 had converged after 100 episodes and 1000 after 300: a share of 1.000, 95 %
interval [0.996, 1.000] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import PR2Q

learner = PR2Q
settings = {
    "learning_rate": 0.153,
    "initial_q": [0.0, 1.0],
    "batch_size": None,
    "temperature": {"initial": 4.29, "final": 0.14, "decay_steps": 77, "kind": "linear"},
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
