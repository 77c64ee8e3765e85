"""WoLF-PHC on the climbing game, three players.

Of 1000 trials 219 had converged after 200 episodes and 231 after 600: a share of 0.231, 95 %
interval [0.206, 0.258] (Wilson). Found by `benchmarks/tune_tabular.py --game
three_player_climbing_game`, with the same budget for every learner.
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
game = "three_player_climbing_game"
game_settings: dict[str, object] = {}
plays_per_episode = 1
