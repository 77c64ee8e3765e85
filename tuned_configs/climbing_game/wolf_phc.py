"""WoLF-PHC on the climbing game.

Of 1000 trials 318 had converged after 100 episodes and 324 after 300: a share of 0.324, 95 %
interval [0.296, 0.354] (Wilson). Found by `benchmarks/tune_tabular.py --game climbing_game`, with
the same budget for every learner.
"""

from rommeo_rllib.tabular import WoLFPHC

learner = WoLFPHC
settings = {
    "learning_rate": 0.721,
    "initial_q": 12.0,
    "epsilon": {"initial": 0.204, "final": 0.0126, "decay_steps": 20, "kind": "exponential"},
    "delta_win": 0.0418,
    "delta_lose": 0.2274,
}
game = "climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
