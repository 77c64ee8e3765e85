"""The tuned configurations of tabular learners: complete, and fit for what they are for."""

from functools import partial

import pytest
from representative import cases

from rommeo_rllib import envs
from rommeo_rllib.tabular import LEARNERS
from rommeo_rllib.tabular.any_play import AnyPlay
from rommeo_rllib.tuned_configs import TabularConfiguration, tabular

GAMES = {name.partition("/")[0] for name in tabular()}


def play_of(configuration: TabularConfiguration, **how: int) -> AnyPlay:
    make_env = partial(envs.make, configuration.game, **configuration.game_settings)
    return AnyPlay(make_env, configuration.learner, **how, **configuration.settings)


def test_every_learner_has_a_configuration_for_each_of_six_games() -> None:
    assert len(GAMES) == 6
    for game in GAMES:
        inside = [one for name, one in tabular().items() if name.startswith(f"{game}/")]
        assert sorted(one.learner.name for one in inside) == sorted(LEARNERS)


@pytest.mark.parametrize("name", tabular())
def test_a_configuration_plays_and_names_what_it_reached(name: str) -> None:
    configuration = tabular()[name]
    assert configuration.plays_per_episode == 1
    measured = configuration.measured
    assert measured["low"] <= measured["successes"] / measured["trials"] <= measured["high"]
    assert play_of(configuration, trials=2, seed=0).run(5)[1].shape == (5, 2)


@pytest.mark.parametrize("plays", cases([1, 25], [1]))
def test_tuned_rommeo_q_solves_the_climbing_game_by_episode_100(plays: int) -> None:
    configuration = tabular()["climbing_game/rommeo_q"]
    play = play_of(configuration, trials=1000, plays_per_episode=plays, seed=5)
    has_converged = play.run(100)[2]
    assert has_converged is not None
    assert has_converged.sum() >= 999
