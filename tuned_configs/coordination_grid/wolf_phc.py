"""WoLF-PHC on the coordination grid.

Of 200 trials 15 had converged after 100 episodes and 58 after 300: a share of 0.290, 95 % interval
[0.232, 0.356] (Wilson). Found by `benchmarks/tune_tabular.py --game coordination_grid`, with the
same budget for every learner.
"""

from rommeo_rllib.tabular import WoLFPHC

learner = WoLFPHC
settings = {
    "learning_rate": 0.606,
    "initial_q": [0.0, 1.0],
    "epsilon": {"initial": 0.848, "final": 0.0178, "decay_steps": 227, "kind": "linear"},
    "delta_win": 0.0227,
    "delta_lose": 0.1244,
}
game = "coordination_grid"
game_settings: dict[str, object] = {}
plays_per_episode = 1
