"""ROMMEO-AC against RLlib's own multi-agent SAC: same game, networks, env steps and updates.

    python benchmarks/compare_sac.py --json benchmarks/compare_sac.json

Each algorithm is tuned by the same search: its own defaults and three random settings, one seed and
the whole number of env steps each, of which the one with the best score is run with fresh
seeds. Learning rates and the first temperature are drawn from one distribution; SAC then learns its
temperature, which is all that it offers, and ROMMEO-AC's falls. Every run is stored when it ends;
the same command goes on where it was, and with a greater `--seeds` adds to what there is.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro
from measure import machine, prepare
from rich.console import Console
from rich.table import Table

ROMMEO, SAC = "ROMMEO-AC", "SAC"
TUNING_SEED, DRAWN_SETTINGS = 1_000, 3


@dataclass(frozen=True)
class Game:
    """What is played, and for how long.

    Attributes:
        env: as registered.
        agents: their ids.
        registered_by: the module that registers it when it is imported.
        solved_above: score from which on a seed counts as solved; None if nobody knows.
        score: "play" for an agent's return a play, where each play is a game of its own; "episode"
            for all agents' return an episode.
        judged: "greedy" for what the last policies do without exploring, "sampled" for what they
            did in the latest episodes of training.
        env_config: of the game.
        env_steps: length of a run.
        iteration: env steps of an iteration.
        steps_per_update: env steps from update to update of all agents.
        warm_up: env steps before the first update.
        gamma: discount.
        evaluation: greedy episodes, and `evaluation_config` what is changed for them.
        smoothing: latest episodes that count as sampled.
        lr: range of the learning rates that are drawn, and `alpha` of first temperatures.
        final_alpha: where ROMMEO-AC's alpha falls to, and `final_kl` its KL weight.
    """

    env: str
    agents: tuple[str, ...]
    registered_by: str = "rommeo_rllib"
    solved_above: float | None = None
    score: Literal["play", "episode"] = "play"
    judged: Literal["greedy", "sampled"] = "greedy"
    env_config: Mapping[str, Any] = field(default_factory=dict)
    env_steps: int = 500
    iteration: int = 50
    steps_per_update: int = 1
    warm_up: int = 25
    gamma: float = 0.0
    evaluation: int = 1
    evaluation_config: Mapping[str, Any] = field(default_factory=dict)
    smoothing: int = 3
    lr: tuple[float, float] = (1e-3, 2e-2)
    alpha: tuple[float, float] = (1.0, 50.0)
    final_alpha: float = 0.1
    final_kl: float = 1.0


PLAYERS = ("player_0", "player_1")
PLAYS = Game(
    "",
    PLAYERS,
    env_config={"plays_per_episode": 25},
    evaluation_config={"plays_per_episode": 1},
)
EPISODES = Game(
    "",
    PLAYERS,
    score="episode",
    judged="sampled",
    env_steps=20_000,
    iteration=1_000,
    steps_per_update=2,
    warm_up=500,
    gamma=0.95,
    evaluation=100,
    smoothing=100,
    lr=(3e-4, 3e-3),
)
GAMES = {
    "Max of Two Quadratics": replace(PLAYS, env="max_of_two_quadratics", solved_above=9.0),
    "climbing game": replace(PLAYS, env="climbing_game", solved_above=10.0),
    "level-based foraging": replace(
        EPISODES,
        env="foraging",
        registered_by="rommeo_rllib.tuned_configs.foraging.rommeo_ac",
        solved_above=0.5,
        alpha=(0.005, 0.1),
        final_alpha=0.002,
        final_kl=0.002,
    ),
    "simple_spread": replace(
        EPISODES,
        env="mpe/simple_spread_v3",
        registered_by="rommeo_rllib.tuned_configs.mpe.simple_spread",
        agents=("agent_0", "agent_1"),
        env_steps=10_000,
        env_config={"N": 2, "max_cycles": 25},
        alpha=(0.01, 0.5),
        final_alpha=0.01,
        final_kl=0.01,
    ),
}
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
    from rommeo_rllib.experiments.ray_session import quiet_ray

    runs = Runs(settings.json)
    with quiet_ray():
        for title in settings.games:
            Console(width=150).print(compare(title, runs, settings.seeds))


def compare(title: str, runs: Runs, seeds: int) -> Table:
    """The table of one game: each algorithm with the setting that its search has kept."""
    headings = (
        "algorithm",
        "setting",
        "solved",
        "greedy",
        "sampled",
        "CPU s",
    )
    table = Table(*headings, title=title)
    for algorithm in (ROMMEO, SAC):
        setting = best_setting(title, algorithm, runs)
        found = [runs.get(title, algorithm, setting, seed) for seed in range(seeds)]
        table.add_row(algorithm, json.dumps(setting), *cells(GAMES[title], found))
    return table


def best_setting(title: str, algorithm: str, runs: Runs) -> dict[str, float]:
    """Of the settings that are tried, the one with the best score."""
    game = GAMES[title]

    def found(setting: dict[str, float]) -> float:
        return float(runs.get(title, algorithm, setting, TUNING_SEED)[game.judged])

    return max([{}, *draw_settings(game, DRAWN_SETTINGS)], key=found)


def draw_settings(game: Game, number: int) -> list[dict[str, float]]:
    """Random settings, the same for both algorithms."""
    rng = np.random.default_rng(0)

    def log_uniform(low: float, high: float) -> float:
        return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.3g}")

    return [{"lr": log_uniform(*game.lr), "alpha": log_uniform(*game.alpha)} for _ in range(number)]


def cells(game: Game, found: Sequence[Mapping[str, Any]]) -> list[str]:
    """The share of seeds that have solved it, scores with bootstrap intervals, and the cost."""
    from rommeo_rllib.reporting.statistics import bootstrap_mean, success_rate

    greedy = [one["greedy"] for one in found]
    solved = ""
    if game.solved_above is not None:
        successes = sum(one[game.judged] > game.solved_above for one in found)
        solved = str(success_rate(successes, len(found)))
    return [
        solved,
        str(bootstrap_mean(greedy)),
        str(bootstrap_mean([one["sampled"] for one in found])),
        f"{np.mean([one['cpu_s'] for one in found]):.0f}",
    ]


def run(game: Game, algorithm: str, setting: Mapping[str, float], seed: int) -> dict[str, Any]:
    """One run: its score, greedy at the end and sampled all along, and CPU seconds."""
    importlib.import_module(game.registered_by)
    make = rommeo_config if algorithm == ROMMEO else sac_config
    config = on_game(make(game, setting), game).debugging(seed=seed, log_level="ERROR")
    begin = time.process_time()
    algo = config.build_algo()
    try:
        sampled: list[float] = []
        while len(sampled) * game.iteration < game.env_steps:
            sampled.append(score(game, algo.train()["env_runners"]))
        seconds = time.process_time() - begin
        greedy = score(game, algo.evaluate()["env_runners"])
    finally:
        algo.stop()
    return {
        "greedy": round(greedy, 3),
        "sampled": round(sampled[-1], 3),
        "curve": [round(value, 3) for value in sampled],
        "cpu_s": round(seconds, 1),
    }


def score(game: Game, results: Mapping[str, Any]) -> float:
    """Mean over the latest episodes."""
    total, length = results["episode_return_mean"], results["episode_len_mean"]
    return float(total if game.score == "episode" else total / length / len(game.agents))


def rommeo_config(game: Game, setting: Mapping[str, float]) -> Any:
    """ROMMEO-AC; a drawn temperature falls over half of the run, and the KL weight with it."""
    from rommeo_rllib import ROMMEOACConfig

    config = ROMMEOACConfig().training(updates_per_env_step=1.0 / game.steps_per_update)
    if setting:
        falling = {"initial": setting["alpha"], "decay_steps": game.env_steps // 2}
        rates = ("q_lr", "policy_lr", "opponent_model_lr", "opponent_prior_lr")
        config.training(
            alpha={**falling, "final": game.final_alpha},
            kl_coeff={**falling, "final": game.final_kl},
            **dict.fromkeys(rates, setting["lr"]),
        )
    return config.rl_module(model_config={"fcnet_hiddens": HIDDENS})


def sac_config(game: Game, setting: Mapping[str, float]) -> Any:
    """RLlib's SAC with two Q-functions, its default; a drawn temperature is where it begins.

    For continuous actions its Q-function encodes observation and action apart, each by the hidden
    layers, and joins them in one layer more.
    """
    from ray.rllib.algorithms.sac import SACConfig

    config = SACConfig().training(
        replay_buffer_config={"type": "MultiAgentEpisodeReplayBuffer"},
        training_intensity=None,  # One update for each round of sampling.
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
        config.environment(game.env, env_config=dict(game.env_config))
        .multi_agent(policies=set(game.agents), policy_mapping_fn=lambda agent, *args, **kw: agent)
        .training(
            gamma=game.gamma,
            train_batch_size_per_learner=64,
            num_steps_sampled_before_learning_starts=game.warm_up,
        )
        .env_runners(num_env_runners=0, rollout_fragment_length=game.steps_per_update)
        .evaluation(
            evaluation_interval=10**9,  # Once, at the end.
            evaluation_duration=game.evaluation,
            evaluation_config={"explore": False, "env_config": dict(game.evaluation_config)},
        )
        .reporting(
            min_time_s_per_iteration=0,
            min_sample_timesteps_per_iteration=game.iteration,
            metrics_num_episodes_for_smoothing=game.smoothing,
        )
    )


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
