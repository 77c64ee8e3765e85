"""FMQ-c10 on the coordination grid.

Of 200 trials 4 had converged after 100 episodes and 6 after 300: a share of 0.030, 95 % interval
[0.014, 0.064] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import FMQ

learner = FMQ
settings = {
    "learning_rate": 0.484,
    "initial_q": 12.0,
    "temperature": {"initial": 10.5, "final": 15.2, "decay_steps": 163, "kind": "exponential"},
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
