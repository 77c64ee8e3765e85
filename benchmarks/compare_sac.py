"""ROMMEO-AC against RLlib's own multi-agent SAC: same game, networks, env steps and updates.

    python benchmarks/compare_sac.py --json benchmarks/compare_sac.json

Each algorithm is tuned by the same search: its own defaults and three random settings, one seed and
the whole number of env steps each, of which the one with the best greedy return is run with fresh
seeds. Learning rates and the first temperature are drawn from one distribution; SAC then learns its
temperature, which is all that it offers, and ROMMEO-AC's falls. Every run is stored when it ends;
the same command goes on where it was, and with a greater `--seeds` adds to what there is.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from measure import machine, prepare
from rich.console import Console
from rich.table import Table

ROMMEO, SAC = "ROMMEO-AC", "SAC"
TUNING_SEED, DRAWN_SETTINGS = 1_000, 3


@dataclass(frozen=True)
class Game:
    """A game of two players in which each play is a game of its own.

    Attributes:
        env: as registered.
        solved_above: greedy reward from which on a seed has found the optimum.
    """

    env: str
    solved_above: float


GAMES = {
    "Max of Two Quadratics": Game("max_of_two_quadratics", 9.0),
    "climbing game": Game("climbing_game", 10.0),
}
PLAYERS = ("player_0", "player_1")
ENV_STEPS = 500
PLAYS_PER_EPISODE = 25
HIDDENS = [64, 64]


@dataclass(frozen=True)
class Settings:
    """What is compared.

    Attributes:
        games: keys of `GAMES`; all of them by default.
        seeds: of what is reported.
        json: where the runs are stored, and found again.
    """

    games: tuple[str, ...] = tuple(GAMES)
    seeds: int = 5
    json: Path = Path(__file__).parent / "compare_sac.json"


class Runs:
    """Runs by their names, in a file."""

    def __init__(self, file: Path):
        self._file = file
        stored = json.loads(file.read_text()) if file.exists() else {}
        self._runs: dict[str, dict[str, Any]] = stored.get("runs", {})

    def get(self, title: str, algorithm: str, setting: Mapping[str, float], seed: int) -> Any:
        """The run, from the file or made now."""
        name = f"{title} | {algorithm} | {json.dumps(setting)} | {seed}"
        if name not in self._runs:
            self._runs[name] = run(GAMES[title], algorithm, setting, seed)
            stored = {"machine": machine(), "runs": self._runs}
            unfinished = self._file.with_suffix(".part")
            unfinished.write_text(json.dumps(stored, indent=1) + "\n")
            os.replace(unfinished, self._file)
            Console(stderr=True).print(name, self._runs[name]["greedy"])
        return self._runs[name]


def main(settings: Settings) -> None:
    """Runs what has not been run, and prints the tables."""
    prepare()
    from rommeo_rllib.commands.tuning import quiet_ray

    runs = Runs(settings.json)
    with quiet_ray():
        for title in settings.games:
            Console(width=150).print(compare(title, runs, settings.seeds))


def compare(title: str, runs: Runs, seeds: int) -> Table:
    """The table of one game: each algorithm with the setting that its search has kept."""
    headings = (
        "algorithm",
        "setting",
        "at the optimum",
        "greedy return",
        "sampled return",
        "CPU s",
    )
    table = Table(*headings, title=title)
    for algorithm in (ROMMEO, SAC):
        setting = best_setting(title, algorithm, runs)
        found = [runs.get(title, algorithm, setting, seed) for seed in range(seeds)]
        table.add_row(algorithm, json.dumps(setting), *cells(GAMES[title], found))
    return table


def best_setting(title: str, algorithm: str, runs: Runs) -> dict[str, float]:
    """Of the settings that are tried, the one with the best greedy return."""

    def score(setting: dict[str, float]) -> float:
        return float(runs.get(title, algorithm, setting, TUNING_SEED)["greedy"])

    return max([{}, *draw_settings(DRAWN_SETTINGS)], key=score)


def draw_settings(number: int) -> list[dict[str, float]]:
    """Random settings, the same for both algorithms and both games."""
    rng = np.random.default_rng(0)

    def log_uniform(low: float, high: float) -> float:
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")

    return [{"lr": log_uniform(1e-3, 2e-2), "alpha": log_uniform(1.0, 50.0)} for _ in range(number)]


def cells(game: Game, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The share of seeds at the optimum, returns a play with bootstrap intervals, and the cost."""
    from rommeo_rllib.reporting.statistics import bootstrap_mean, success_rate

    greedy = [one["greedy"] for one in found]
    solved = sum(value > game.solved_above for value in greedy)
    return [
        str(success_rate(solved, len(greedy))),
        str(bootstrap_mean(greedy)),
        str(bootstrap_mean([one["sampled"] for one in found])),
        f"{np.mean([one['cpu_s'] for one in found]):.0f}",
    ]


def run(game: Game, algorithm: str, setting: Mapping[str, float], seed: int) -> dict[str, Any]:
    """One run: an agent's return a play, greedy at the end and sampled all along; CPU seconds."""
    make = rommeo_config if algorithm == ROMMEO else sac_config
    config = on_game(make(setting), game).debugging(seed=seed, log_level="ERROR")
    begin = time.process_time()
    algo = config.build_algo()
    try:
        sampled: list[float] = []
        while len(sampled) * 2 * PLAYS_PER_EPISODE < ENV_STEPS:
            sampled.append(per_play(algo.train()["env_runners"]))
        seconds = time.process_time() - begin
        greedy = per_play(algo.evaluate()["env_runners"])
    finally:
        algo.stop()
    return {
        "greedy": round(greedy, 3),
        "sampled": round(sampled[-1], 3),
        "curve": [round(value, 3) for value in sampled],
        "cpu_s": round(seconds, 1),
    }


def per_play(results: Mapping[str, Any]) -> float:
    """An agent's return a play, mean over the latest episodes."""
    total, length = results["episode_return_mean"], results["episode_len_mean"]
    return float(total / length / len(PLAYERS))


def rommeo_config(setting: Mapping[str, float]) -> Any:
    """ROMMEO-AC; a drawn temperature falls over half of the run, and the KL weight with it."""
    from rommeo_rllib import ROMMEOACConfig

    config = ROMMEOACConfig().training(updates_per_env_step=1.0)
    if setting:
        falling = {"initial": setting["alpha"], "decay_steps": ENV_STEPS // 2}
        rates = ("q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr")
        config.training(
            alpha={**falling, "final": 0.1},
            kl_coeff={**falling, "final": 1.0},
            **dict.fromkeys(rates, setting["lr"]),
        )
    return config.rl_module(model_config={"fcnet_hiddens": HIDDENS})


def sac_config(setting: Mapping[str, float]) -> Any:
    """RLlib's SAC with two Q-functions, its default; a drawn temperature is where it begins.

    For continuous actions its Q-function encodes observation and action apart, each by the hidden
    layers, and joins them in one layer more.
    """
    from ray.rllib.algorithms.sac import SACConfig

    config = SACConfig().training(
        replay_buffer_config={"type": "MultiAgentEpisodeReplayBuffer"},
        training_intensity=None,  # One update for each round of sampling, here one env step.
    )
    if setting:
        rates = dict.fromkeys(("actor_lr", "critic_lr", "alpha_lr"), setting["lr"])
        config.training(initial_alpha=setting["alpha"], **rates)
    model = {
        "fcnet_hiddens": HIDDENS,
        "fcnet_activation": "relu",
        "fusionnet_hiddens": HIDDENS[-1:],
        "head_fcnet_hiddens": [],
    }
    return config.rl_module(model_config=model)


def on_game(config: Any, game: Game) -> Any:
    """What both have in common."""
    return (
        config.environment(game.env, env_config={"plays_per_episode": PLAYS_PER_EPISODE})
        .multi_agent(policies=set(PLAYERS), policy_mapping_fn=lambda agent, *args, **kw: agent)
        .training(
            gamma=0.0,
            train_batch_size_per_learner=64,
            num_steps_sampled_before_learning_starts=PLAYS_PER_EPISODE,
        )
        .env_runners(num_env_runners=0, rollout_fragment_length=1)
        .evaluation(
            evaluation_interval=10**9,  # Once, at the end.
            evaluation_duration=1,
            evaluation_config={"explore": False, "env_config": {"plays_per_episode": 1}},
        )
        .reporting(
            min_time_s_per_iteration=0,
            min_sample_timesteps_per_iteration=2 * PLAYS_PER_EPISODE,
            metrics_num_episodes_for_smoothing=3,
        )
    )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
