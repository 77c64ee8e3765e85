"""WoLF-PHC on the climbing game, fully stochastic.

Of 1000 trials 32 had converged after 200 episodes and 750 after 600: a share of 0.750, 95 %
interval [0.722, 0.776] (Wilson). Found by `benchmarks/tune_tabular.py --game
fully_stochastic_climbing_game`, with the same budget for every learner.
"""

from rommeo_rllib.tabular import WoLFPHC

learner = WoLFPHC
settings = {
    "learning_rate": 0.964,
    "initial_q": 12.0,
    "epsilon": {"initial": 0.648, "final": 0.00545, "decay_steps": 448, "kind": "exponential"},
    "delta_win": 0.0105,
    "delta_lose": 0.0406,
}
game = "stochastic_climbing_game"
game_settings: dict[str, object] = {"variant": "full"}
plays_per_episode = 1
