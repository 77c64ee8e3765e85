"""The tuned configurations of tabular learners: complete, and fit for what they are for."""

import importlib
import pkgutil
from functools import partial
from typing import Any

import pytest

from rommeo_rllib import envs, tuned_configs
from rommeo_rllib.tabular import LEARNERS
from rommeo_rllib.tabular.any_play import AnyPlay

GAMES = (
    "climbing_game",
    "penalty_game",
    "partially_stochastic_climbing_game",
    "fully_stochastic_climbing_game",
    "three_player_climbing_game",
    "coordination_grid",
)


def tabular_modules(game: str) -> list[Any]:
    package = importlib.import_module(f"{tuned_configs.__name__}.{game}")
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return [module for module in modules if hasattr(module, "learner")]


@pytest.mark.parametrize("game", GAMES)
def test_every_learner_has_a_configuration_that_plays(game: str) -> None:
    modules = tabular_modules(game)
    assert {module.learner.name for module in modules} == set(LEARNERS)
    for module in modules:
        assert "95 %" in module.__doc__
        assert module.plays_per_episode == 1
        make_env = partial(envs.make, module.game, **module.game_settings)
        play = AnyPlay(make_env, module.learner, trials=2, seed=0, **module.settings)
        assert play.run(5)[1].shape == (5, 2)


@pytest.mark.parametrize("plays", [1, 25])
def test_tuned_rommeo_q_solves_the_climbing_game_by_episode_100(plays: int) -> None:
    [module] = [m for m in tabular_modules("climbing_game") if m.learner.name == "ROMMEO-Q"]
    make_env = partial(envs.make, module.game, **module.game_settings)
    play = AnyPlay(
        make_env, module.learner, trials=1000, plays_per_episode=plays, seed=5, **module.settings
    )
    has_converged = play.run(100)[2]
    assert has_converged is not None
    assert has_converged.sum() >= 999
