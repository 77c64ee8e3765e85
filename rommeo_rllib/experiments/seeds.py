"""The seeds of a configuration, as trials: one each, or several computed together by one trial."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rommeo_rllib.experiments.trials import Trial

_MOST_REPLICAS = 64


def can_be_replicated(config: Any) -> bool:
    """Whether seeds can be computed together, as replicas of one trial."""
    from rommeo_rllib.joint_action.config import JointActionConfig
    from rommeo_rllib.joint_action.sampling.fast_path_conditions import allows_fast_path

    return (
        isinstance(config, JointActionConfig)
        and allows_fast_path(config)
        and config.replicas == 1
        and not config.num_env_runners
        and not config.num_learners
    )


def replicas_to_use(config: Any, num_seeds: int) -> int:
    """As many as keep all CPUs busy, where seeds can be computed together at all."""
    import ray

    if not can_be_replicated(config):
        return getattr(config, "replicas", 1)
    cpus = int(ray.cluster_resources().get("CPU", 1))
    return min(math.ceil(num_seeds / cpus), _MOST_REPLICAS)


def seeds_text(seeds: Sequence[int]) -> str:
    """ "seed 3", "seeds 0 to 7", or nothing of none."""
    if not seeds:
        return ""
    return f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]} to {seeds[-1]}"


def trials_of_seeds(
    setting: Mapping[str, Any], first: int, count: int, replicas: int
) -> list[Trial]:
    """Trials of `replicas` seeds each; the last one may compute more than are asked for."""
    end = first + count
    return [
        Trial(dict(setting), seed, replicas, min(replicas, end - seed))
        for seed in range(first, end, replicas)
    ]
