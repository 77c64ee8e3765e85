"""(b) Sampling: env steps per CPU second of our env runner and of RLlib's own.

    python benchmarks/sampling.py

The runners of algorithms as they are built, and nothing but what their training asks them for:
acting networks, environment, episodes. RLlib's runs SAC's networks and PPO's.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from measure import Report, Row, Spread, interleave, prepare, progress

OURS, SAC, PPO = "ours (env steps/s)", "stock SAC (env steps/s)", "stock PPO (env steps/s)"


@dataclass(frozen=True)
class Settings:
    """What is varied, and how long to measure.

    Attributes:
        full: with 8 agents, too.
        envs: numbers of environments of a runner.
        fragments: env steps that a call of `sample()` takes in each environment.
        agents: numbers of agents.
        hiddens: widths of the networks' layers.
        seconds: CPU time a turn.
        repetitions: turns of each alternative.
        json: where to write the results.
    """

    full: bool = False
    envs: tuple[int, ...] = (1, 16, 64)
    fragments: tuple[int, ...] = (1, 25)
    agents: tuple[int, ...] = (2,)
    hiddens: tuple[int, ...] = (100, 100)
    seconds: float = 0.7
    repetitions: int = 5
    json: Path | None = None


def main(settings: Settings) -> None:
    """Measures all combinations."""
    prepare()
    from rommeo_rllib.experiments.ray_session import quiet_ray

    report = Report("sampling", "Sampling: env steps per CPU second")
    agents = (*settings.agents, 8) if settings.full else settings.agents
    cases = list(itertools.product(agents, settings.envs, settings.fragments))
    with quiet_ray(), progress("sampling", len(cases)) as done:
        for case in cases:
            report.rows.append(measure(*case, settings))
            done()
    report.finish(settings.json)


def measure(agents: int, envs: int, fragment: int, settings: Settings) -> Row:
    """One combination, in turns."""
    algorithms = {
        name: config.env_runners(
            num_envs_per_env_runner=envs, rollout_fragment_length=fragment
        ).build_algo()
        for name, config in configs(agents, envs * fragment, settings).items()
    }
    turns = {
        name: sample_turn(algorithm.env_runner, settings.seconds)
        for name, algorithm in algorithms.items()
    }
    interleave(turns, 1)
    rates = interleave(turns, settings.repetitions)
    for algorithm in algorithms.values():
        algorithm.stop()
    return Row(
        {"agents": agents, "envs": envs, "fragment": fragment},
        {
            "ours / stock SAC": Spread.of_ratio(rates[OURS], rates[SAC]),
            "ours / stock PPO": Spread.of_ratio(rates[OURS], rates[PPO]),
        },
        {name: Spread.of(values) for name, values in rates.items()},
    )


def configs(agents: int, round_of_sampling: int, settings: Settings) -> dict[str, Any]:
    """Our configuration and RLlib's, by the name of the column."""
    from ray.rllib.algorithms.ppo import PPOConfig
    from setups import on_game, rommeo_config, stock_sac_config

    ppo = PPOConfig().rl_module(model_config={"fcnet_hiddens": list(settings.hiddens)})
    # PPO insists on a batch of whole rounds of sampling.
    ppo.training(train_batch_size_per_learner=round_of_sampling, minibatch_size=round_of_sampling)
    arguments = (agents, settings.hiddens, 256, 0.95, 25)
    return {
        OURS: rommeo_config(*arguments),
        SAC: stock_sac_config(*arguments),
        PPO: on_game(ppo, agents, 25),
    }


def sample_turn(env_runner: Any, seconds: float) -> Callable[[], float]:
    """Samples for some CPU time; env steps per CPU second."""
    from setups import chunk_length

    # Ours gives joint steps to its own training, and RLlib's episodes to whoever calls `sample`.
    sample = getattr(env_runner, "sample_joint_steps", env_runner.sample)

    def turn() -> float:
        env_runner.get_metrics()  # Drops the last turn's, which would pile up.
        steps, begin = 0, time.process_time()
        while True:
            steps += sum(map(chunk_length, sample()))
            elapsed = time.process_time() - begin
            if elapsed >= seconds:
                return steps / elapsed

    return turn


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
