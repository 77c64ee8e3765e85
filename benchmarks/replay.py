"""(c) Replay: time to add and to sample, and memory, of our buffer and of RLlib's own.

    python benchmarks/replay.py
    python benchmarks/replay.py --full      # up to 1e6 env steps of 16 agents, 1.3 GB

RLlib's `MultiAgentEpisodeReplayBuffer` keeps episodes as Python objects; it is measured up to a
size that it can still cope with. A transition is one agent's.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import tyro
from measure import (
    MILLISECONDS,
    Report,
    Row,
    Spread,
    cpu_time_of,
    interleave,
    prepare,
    progress,
    resident_bytes,
)

OURS, STOCK = "ours", "stock"
EPISODE = 25
FILLING_EPISODE = 1_000
WARM_UP_SIZE = 50
OBSERVATION_SIZE, ACTION_SIZE = 8, 2
# Observations before and after, action, reward: 4 bytes a number; terminated: 1 byte.
RAW_BYTES = 4 * (2 * OBSERVATION_SIZE + ACTION_SIZE + 1) + 1


@dataclass(frozen=True)
class Settings:
    """What is varied, and how long to measure.

    Attributes:
        full: the greatest size with 16 agents, too.
        sizes: env steps in the buffer, as many as it holds.
        agents: numbers of agents.
        most_transitions: larger combinations of the two are left out without `full`.
        stock_transitions: RLlib's buffer is measured up to so many.
        batch: rows drawn for each agent.
        repetitions: turns of each alternative.
        json: where to write the results.
    """

    full: bool = False
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    agents: tuple[int, ...] = (2, 16)
    most_transitions: int = 2_000_000
    stock_transitions: int = 50_000
    batch: int = 256
    repetitions: int = 7
    json: Path | None = None


def main(settings: Settings) -> None:
    """Measures all combinations, each in a process of its own, so that memory can be told."""
    cases = [
        (size, agents)
        for size in settings.sizes
        for agents in settings.agents
        if settings.full or size * agents <= settings.most_transitions
    ]
    report = Report("replay", "Replay: add, sample, memory")
    context = multiprocessing.get_context("spawn")
    with progress("replay", len(cases)) as done:
        for case in cases:
            with context.Pool(1) as pool:
                report.rows.append(pool.apply(measure, (*case, settings)))
            done()
    report.notes.append(
        f"A transition of one agent is {RAW_BYTES} bytes raw. Sampling draws {settings.batch} rows "
        f"for every agent; adding takes a chunk of 1 env step or of {EPISODE}."
    )
    report.finish(settings.json)


def measure(size: int, agents: int, settings: Settings) -> Row:
    """One combination."""
    prepare()
    fill = {OURS: fill_ours}
    if size * agents <= settings.stock_transitions:
        fill[STOCK] = fill_stock
    buffers, memory = {}, {}
    for name, make in fill.items():
        make(WARM_UP_SIZE, agents)  # Imports and the like are not the buffer's memory.
        gc.collect()
        before = resident_bytes()
        buffers[name] = make(size, agents)
        gc.collect()
        memory[name] = Spread.of([(resident_bytes() - before) / (size * agents)])

    policies = agent_ids(agents)
    samplers: dict[str, Callable[[], Any]] = {
        OURS: lambda: buffers[OURS].sample(policies, settings.batch),
        STOCK: lambda: buffers[STOCK].sample(num_items=settings.batch),
    }
    times = {}
    sampling = {n: timed(samplers[n], 200 if n == OURS else 3) for n in buffers}
    interleave(sampling, 1)
    times["sample (ms)"] = interleave(sampling, settings.repetitions)
    for length in (1, EPISODE):
        adding = {
            n: timed(add_chunks(buffer, length, agents), 100 if n == OURS else 10)
            for n, buffer in buffers.items()
        }
        interleave(adding, 1)
        times[f"add {length} (ms)"] = interleave(adding, settings.repetitions)
    return row(size, agents, times, memory)


def row(
    size: int,
    agents: int,
    times: dict[str, dict[str, list[float]]],
    memory: dict[str, Spread],
) -> Row:
    """One line of the table."""
    ratios = {
        f"{what.removesuffix(' (ms)')}: stock / ours": Spread.of_ratio(values[STOCK], values[OURS])
        for what, values in times.items()
        if STOCK in values
    }
    ratios |= {
        f"memory: {name} / raw": Spread.of([spread.median / RAW_BYTES])
        for name, spread in memory.items()
    }
    measured = {
        f"{name} {what}": Spread.of(values)
        for what, by_name in times.items()
        for name, values in by_name.items()
    }
    measured |= {f"{name} bytes a transition": spread for name, spread in memory.items()}
    return Row({"env steps": f"{size:,}", "agents": agents}, ratios, measured)


def timed(work: Callable[[], Any], count: int) -> Callable[[], float]:
    """CPU milliseconds of one call, by the mean of `count`."""
    return lambda: MILLISECONDS * cpu_time_of(lambda: [work() for _ in range(count)]) / count


def fill_ours(size: int, agents: int) -> Any:
    """Our buffer, filled to the brim; a few long episodes are added again and again."""
    from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer

    space = gym.spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)
    buffer = JointReplayBuffer(size, dict.fromkeys(agent_ids(agents), space), seed=0)
    (episode,) = chunks(min(FILLING_EPISODE, size), min(FILLING_EPISODE, size), agents, 1)
    while len(buffer) < size:
        buffer.add([episode])
    return buffer


def fill_stock(size: int, agents: int) -> Any:
    """RLlib's buffer, filled to the brim."""
    from ray.rllib.utils.replay_buffers import MultiAgentEpisodeReplayBuffer

    buffer = MultiAgentEpisodeReplayBuffer(capacity=size)
    for episode in chunks(EPISODE, EPISODE, agents, size // EPISODE):
        buffer.add([episode])
    return buffer


def add_chunks(buffer: Any, length: int, agents: int) -> Callable[[], Any]:
    """Adds the next chunk of episodes that are prepared in advance."""
    prepared = list(chunks(length, EPISODE, agents, 1_000))
    remaining: Iterator[Any] = iter(prepared)
    return lambda: buffer.add([next(remaining)])


def chunks(length: int, episode_length: int, agents: int, count: int) -> Iterator[Any]:
    """`count` chunks of `length` env steps of consecutive episodes, as an env runner cuts them."""
    return islice(_all_chunks(length, episode_length, agents), count)


def _all_chunks(length: int, episode_length: int, agents: int) -> Iterator[Any]:
    from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

    ids = agent_ids(agents)
    rng = np.random.default_rng(0)

    def numbers(count: int) -> dict[str, np.ndarray]:
        return dict(zip(ids, rng.uniform(-1, 1, (agents, count)).astype(np.float32), strict=True))

    while True:
        episode = MultiAgentEpisode(agent_to_module_mapping_fn=lambda agent, *args, **kw: agent)
        episode.add_env_reset(observations=numbers(OBSERVATION_SIZE), infos={})
        for step in range(1, episode_length + 1):
            is_last = step == episode_length
            episode.add_env_step(
                numbers(OBSERVATION_SIZE),
                numbers(ACTION_SIZE),
                dict.fromkeys(ids, 1.0),
                terminateds=dict.fromkeys([*ids, "__all__"], False),
                truncateds=dict.fromkeys([*ids, "__all__"], is_last),
                infos={},
            )
            if is_last or step % length == 0:
                chunk = episode
                if not is_last:
                    episode = episode.cut(len_lookback_buffer=1)
                chunk.to_numpy()
                yield chunk


def agent_ids(agents: int) -> list[str]:
    """The agents, who are also the policies."""
    return [f"player_{index:02}" for index in range(agents)]


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
