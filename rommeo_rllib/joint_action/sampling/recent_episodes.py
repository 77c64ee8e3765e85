"""What env runners report of the episodes that have ended."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ray.rllib.utils.metrics import (
    EPISODE_AGENT_RETURN_MEAN,
    EPISODE_AGENT_STEPS,
    EPISODE_DURATION_SEC_MEAN,
    EPISODE_LEN_MAX,
    EPISODE_LEN_MEAN,
    EPISODE_LEN_MIN,
    EPISODE_MODULE_RETURN_MEAN,
    EPISODE_RETURN_MAX,
    EPISODE_RETURN_MEAN,
    EPISODE_RETURN_MIN,
    NUM_AGENT_STEPS_SAMPLED,
    NUM_AGENT_STEPS_SAMPLED_LIFETIME,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
    NUM_EPISODES_LIFETIME,
    NUM_MODULE_STEPS_SAMPLED,
    NUM_MODULE_STEPS_SAMPLED_LIFETIME,
)
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from rommeo_rllib.joint_action.sampling.fast_path import EpisodeResult, FastSampler
from rommeo_rllib.joint_action.spaces.replicas import REPLICAS


class RecentEpisodes:
    """The latest episodes, `metrics_num_episodes_for_smoothing` of them; in evaluation all.

    RLlib reports the episodes that ended since the last report only, and NaN if none did, which
    breaks schedulers such as ASHA and PBT.

    Args:
        config: the env runner's.
    """

    def __init__(self, config: Any):
        window = -(-config.metrics_num_episodes_for_smoothing // (config.num_env_runners or 1))
        window = sys.maxsize // config.replicas if config.in_evaluation else window
        # Of each episode what RLlib's `_log_episode_metrics` is given.
        self._summaries: deque[Any] = deque(maxlen=window * config.replicas)
        # Of each replica the episodes' returns (all agents') and lengths.
        self._of_replicas: list[deque[Any]] = [deque(maxlen=window) for _ in range(config.replicas)]

    def add(self, summary: Sequence[Any]) -> None:
        """Takes in an episode of RLlib's own way of sampling."""
        self._summaries.append(summary)

    def count(self, sampler: FastSampler, metrics: MetricsLogger) -> None:
        """Takes in what has been sampled since the last call, and logs RLlib's counts of it.

        With replicas, env steps are those of one replica.
        """
        log = metrics.log_value
        env_steps, agent_steps = sampler.take_counts()
        log(NUM_ENV_STEPS_SAMPLED, env_steps, reduce="sum")
        log(NUM_ENV_STEPS_SAMPLED_LIFETIME, env_steps, reduce="lifetime_sum", with_throughput=True)
        for (agent, policy), count in agent_steps.items():
            log((NUM_AGENT_STEPS_SAMPLED, str(agent)), count, reduce="sum")
            log((NUM_AGENT_STEPS_SAMPLED_LIFETIME, str(agent)), count, reduce="lifetime_sum")
            log((NUM_MODULE_STEPS_SAMPLED, policy), count, reduce="sum")
            log((NUM_MODULE_STEPS_SAMPLED_LIFETIME, policy), count, reduce="lifetime_sum")
        for episode in sampler.take_finished():
            log(NUM_EPISODES, 1, reduce="sum")
            log(NUM_EPISODES_LIFETIME, 1, reduce="lifetime_sum")
            self._add_result(episode)

    def _add_result(self, episode: EpisodeResult) -> None:
        returns = {str(agent): value for agent, value in episode.returns.items()}
        of_policies: dict[str, float] = {}
        for agent, value in episode.returns.items():
            policy = episode.policies[agent]
            of_policies[policy] = of_policies.get(policy, 0.0) + value
        total = sum(returns.values())
        steps = {str(agent): count for agent, count in episode.agent_steps.items()}
        self.add((episode.length, total, episode.seconds, returns, of_policies, steps))
        self._of_replicas[episode.replica].append((total, episode.length))

    def log(self, metrics: MetricsLogger) -> None:
        """Logs means, least and greatest values, and of several replicas each one's means."""
        if not self._summaries:
            return
        lengths, returns, seconds, *by_name = zip(*self._summaries, strict=True)
        agents, modules, agent_steps = map(_means, by_name)
        means = {
            EPISODE_LEN_MEAN: np.mean(lengths),
            EPISODE_RETURN_MEAN: np.mean(returns),
            EPISODE_DURATION_SEC_MEAN: np.mean(seconds),
            EPISODE_AGENT_RETURN_MEAN: agents,
            EPISODE_MODULE_RETURN_MEAN: modules,
            EPISODE_AGENT_STEPS: agent_steps,
        }
        lowest = {EPISODE_LEN_MIN: min(lengths), EPISODE_RETURN_MIN: min(returns)}
        highest = {EPISODE_LEN_MAX: max(lengths), EPISODE_RETURN_MAX: max(returns)}
        metrics.log_dict(means, window=1)
        metrics.log_dict(lowest, reduce="min", window=1)
        metrics.log_dict(highest, reduce="max", window=1)
        if len(self._of_replicas) > 1 and all(self._of_replicas):
            columns = np.array([np.mean(episodes, axis=0) for episodes in self._of_replicas]).T
            for name, column in zip((EPISODE_RETURN_MEAN, EPISODE_LEN_MEAN), columns, strict=True):
                metrics.log_value((REPLICAS, name), column.tolist(), reduce="item")

    def clear(self) -> None:
        """Forgets all."""
        for episodes in (self._summaries, *self._of_replicas):
            episodes.clear()

    def state(self) -> list[list[Any]]:
        """What a restored env runner is to go on from."""
        return [list(episodes) for episodes in (self._summaries, *self._of_replicas)]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Takes up a :meth:`state`."""
        kept = (self._summaries, *self._of_replicas)
        for episodes, stored in zip(kept, state, strict=False):
            episodes.clear()
            episodes.extend(stored)


def finite_or_before(values: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with what was reported before in place of what is missing or NaN.

    Args:
        values: metrics by name, nested.
        before: earlier metrics of that form; none of them is NaN.

    Returns:
        A new dict. What is NaN and was never reported before is left out.
    """
    merged: dict[str, Any] = dict(before)
    for name, value in values.items():
        if isinstance(value, Mapping):
            earlier = before.get(name, {})
            merged[name] = finite_or_before(value, earlier if isinstance(earlier, Mapping) else {})
        elif not (isinstance(value, float) and value != value):
            merged[name] = value
    return merged


def _means(by_name: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each name over those dicts that have it."""
    names = {name for values in by_name for name in values}
    return {
        name: float(np.mean([values[name] for values in by_name if name in values]))
        for name in sorted(names)
    }
