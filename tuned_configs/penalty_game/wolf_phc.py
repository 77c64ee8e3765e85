"""WoLF-PHC on the penalty game, k = -100.

Of 1000 trials 0 had converged after 100 episodes and 610 after 300: a share of 0.610, 95 % interval
[0.579, 0.640] (Wilson). Found by `benchmarks/tune_tabular.py --game penalty_game`, with the same
budget for every learner.
"""

from rommeo_rllib.tabular import WoLFPHC

learner = WoLFPHC
settings = {
    "learning_rate": 0.964,
    "initial_q": 12.0,
    "epsilon": {"initial": 0.648, "final": 0.00545, "decay_steps": 224, "kind": "exponential"},
    "delta_win": 0.0105,
    "delta_lose": 0.0406,
}
game = "penalty_game"
game_settings: dict[str, object] = {"k": -100.0}
plays_per_episode = 1
