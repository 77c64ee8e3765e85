"""WoLF-PHC on the climbing game, partially stochastic.

Of 1000 trials 295 had converged after 200 episodes and 294 after 600: a share of 0.294, 95 %
interval [0.267, 0.323] (Wilson). Found by `benchmarks/tune_tabular.py --game
partially_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import WoLFPHC

learner = WoLFPHC
settings = {
    "learning_rate": 0.721,
    "initial_q": 12.0,
    "epsilon": {"initial": 0.204, "final": 0.0126, "decay_steps": 40, "kind": "exponential"},
    "delta_win": 0.0418,
    "delta_lose": 0.2274,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "partial"}
plays_per_episode = 1
