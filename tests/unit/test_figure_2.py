"""Figure 2: what its table says of seeds, and how it goes on where it was stopped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from rommeo_rllib.commands.figure_2 import (
    ALGORITHMS,
    Figure2,
    algorithms_with,
    configuration_name,
)
from rommeo_rllib.errors import UsageError
from rommeo_rllib.experiments import configurations
from rommeo_rllib.experiments.seed_runs import SeedRun
from rommeo_rllib.reporting import figure_2 as figure_2_report

EPISODES = np.arange(1.0, 7.0)
GREEDY = "policy_mean_0"
MARGINAL = (0.0, 0.0, 0.0, 0.0, 4.5, 5.0)


def make_run(
    returns: Any = (0.0, 5.0, 9.5, 9.6, 9.7, 9.8),
    end: tuple[float, float] = (5.0, 5.0),
    rho: Any = (0.0, 4.5, 5.0, 5.0, 5.0, 5.0),
    pi: Any = (0.0, 0.0, 0.0, 4.5, 5.0, 5.0),
) -> SeedRun:
    """A seed whose policies end at `end`."""
    metrics = {}
    for player, last in zip(("player_0", "player_1"), end, strict=True):
        metrics[f"{player}/policy_mean_0"] = np.array([*pi[:-1], last])
        metrics[f"{player}/opponent_model_mean_0"] = np.array(rho, float)
        metrics[f"{player}/marginal_policy_mean_0"] = np.array([*MARGINAL[:-1], last])
    values = np.array(returns, float)
    return SeedRun(0, None, 0, EPISODES, values, np.full(6, np.nan), metrics)


@pytest.mark.parametrize(
    ("returns", "episode"),
    [
        ((0.0, 5.0, 9.5, 9.6, 9.7, 9.8), 3.0),
        ((9.5, 9.5, 9.5, 9.5, 9.5, 9.5), 1.0),
        ((9.5, 9.5, 8.0, 9.5, 9.5, 9.5), 4.0),
        ((9.5, 9.5, 9.5, 9.5, 9.5, 8.0), np.inf),
        ((np.nan, 9.5, 9.5, 9.5, 9.5, 9.5), 2.0),
    ],
)
def test_a_return_counts_from_where_it_stays(returns, episode):
    run = make_run(returns)
    assert figure_2_report.episodes_to_stay_above(run, run.returns, 9.0) == episode


@pytest.mark.parametrize(
    ("end", "optimum"),
    [
        ((5.0, 5.0), "global_optimum"),
        ((5.5, 4.5), "global_optimum"),
        ((-5.0, -5.6), "local_optimum"),
        ((5.0, -5.0), None),
        ((5.8, 5.8), None),
    ],
)
def test_seeds_are_counted_at_the_optimum_that_their_greedy_actions_are_near(end, optimum):
    entry = figure_2_report.entry([make_run(end=end)])
    for name in figure_2_report.OPTIMA:
        assert entry[name]["rate"] == (1.0 if name == optimum else 0.0)
        assert 0.0 <= entry[name]["low"] < entry[name]["high"] <= 1.0


def test_an_entry_tells_median_and_worst_and_says_none_for_never():
    good, late = make_run(), make_run((0.0, 0.0, 0.0, 0.0, 9.5, 9.5))
    never = make_run((0.0,) * 6)
    assert figure_2_report.entry([good, good, late])["episodes_to_9"] == {
        "median": 3.0,
        "worst": 5.0,
        "seeds_reached": 3,
    }
    reached = figure_2_report.entry([good, good, never])["episodes_to_9"]
    assert reached == {"median": 3.0, "worst": None, "seeds_reached": 2}
    entry = figure_2_report.entry([good, never, never])
    assert entry["episodes_to_9"]["median"] is None
    final = entry["final_return"]
    assert final["low"] <= final["mean"] <= final["high"]
    assert final["mean"] == pytest.approx(9.8 / 3)


def test_the_lead_is_the_policys_episode_less_the_models():
    # The model is there from episode 2 on, the greedy action from 4 on, the mean from 5 on.
    lead = figure_2_report.table({"ROMMEO-AC": [make_run(), make_run()]})["rho_lead_episodes"]
    assert lead == {
        "marginal_mean": {"mean": 3.0, "low": 3.0, "high": 3.0, "seeds": 2},
        "greedy_action": {"mean": 2.0, "low": 2.0, "high": 2.0, "seeds": 2},
    }


def test_seeds_that_end_elsewhere_say_nothing_about_the_lead():
    astray = make_run(end=(-5.0, -5.0))
    assert figure_2_report.rho_lead([make_run(), astray], GREEDY)["seeds"] == 1
    nobody = {"mean": None, "low": None, "high": None, "seeds": 0}
    assert figure_2_report.rho_lead([astray], GREEDY) == nobody


def test_seeds_that_have_not_learned_yet_are_at_no_optimum():
    run = make_run()
    run.metrics.clear()
    entry = figure_2_report.entry([run])
    assert entry["global_optimum"]["rate"] == entry["local_optimum"]["rate"] == 0.0
    assert figure_2_report.rho_lead([run], GREEDY)["seeds"] == 0


def test_a_table_has_the_lead_only_if_rommeo_ac_is_in_it():
    table = figure_2_report.table({"ROMMEO-AC": [make_run()], "DDPG": [make_run()]})
    assert table["algorithms"].keys() == {"ROMMEO-AC", "DDPG"}
    assert table["rho_lead_episodes"]["marginal_mean"]["seeds"] == 1
    assert "rho_lead_episodes" not in figure_2_report.table({"DDPG": [make_run()]})


def test_pictures_are_drawn_for_what_there_is(monkeypatch, tmp_path):
    drawn: dict[str, Figure] = {}
    monkeypatch.setattr(
        figure_2_report, "save", lambda figure, out, name: drawn.update({name: figure}) or []
    )
    config = configurations.load(configuration_name("ROMMEO-AC")).config
    figure_2_report.draw({"ROMMEO-AC": [make_run()] * 3}, config, "paper", tmp_path)
    # Without a checkpoint there are no plays to draw a path with.
    assert drawn.keys() == {"figure-2b", "figure-2c"}
    assert drawn["figure-2b"].axes[0].get_xlabel() == "episode"


@pytest.mark.parametrize("settings", ["tuned", "paper"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_each_algorithm_has_a_configuration_of_its_own_and_one_of_the_papers(name, settings):
    if name not in algorithms_with(settings):
        assert (name, settings) == ("ROMMEO-AC-EMP", "paper")
        return
    configuration = configurations.load(configuration_name(name, settings))
    configuration.config.validate()
    assert configuration.config.gamma == 0.0
    assert configuration.config.q_layer_norm == (settings == "tuned")


def test_changes_reach_each_algorithms_configuration():
    changed = Figure2(surface="authors", settings="paper", set=("tau=0.5",))
    for name in ("MASQL", "ROMMEO-AC"):
        config = changed._configuration(name).config
        assert (config.tau, config.q_layer_norm) == (0.5, False)
        assert config.env_config["surface"] == "authors"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": 0}, "--seeds 0"),
        ({"episodes": 0}, "--episodes 0"),
        ({"surface": "papr"}, "Did you mean 'paper'"),
        ({"algorithms": ("DDPGOM",)}, "Did you mean 'DDPG-OM'"),
        ({"settings": "papr"}, "Did you mean 'paper'"),
        ({"set": ("q_layer_nrm=False",)}, "Did you mean 'q_layer_norm'"),
        ({"set": ("alpha=0.1",), "algorithms": ("DDPG",)}, "alpha"),
        ({"set": ("gamma=2.0",)}, "`gamma` is 2.0"),
        ({"set": ("seed=3",)}, "--seed"),
        ({"set": ("env_config.surface=authors",)}, "--surface"),
        ({"settings": "paper", "algorithms": ("ROMMEO-AC-EMP",)}, "ROMMEO-AC-EMP"),
    ],
)
def test_misuse_is_told_before_anything_starts(options, message):
    with pytest.raises(UsageError, match=message):
        Figure2(**options)._check()
