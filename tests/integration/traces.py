"""What small runs of every algorithm compute, step by step: what a change of the code must keep.

    PYTHONPATH=tests python tests/integration/traces.py

records those that are not recorded yet: after a change that is meant to change numbers, all, once
the recorded ones are deleted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from environments import AnySpacesEnv, TeamEnv
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Tuple
from small import own_policy, shared_policy, shrunken

from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.registration import ALGORITHMS

RECORDED = Path(__file__).parent / "recorded" / "traces.json"
ITERATIONS = 3
TEAM = {"agent_0", "agent_1", "agent_2"}
MIXED = {
    "player_0": (
        Dict({"image": Box(0, 255, (8, 8, 3), np.uint8), "kind": Discrete(3)}),
        Tuple([Discrete(3), Box(-2.0, 2.0, (2,))]),
    ),
    "player_1": (Box(-1.0, 1.0, (2,)), MultiBinary(2)),
}

MANY = {
    "player_0": (Box(-1.0, 1.0, (2,)), Discrete(5)),
    "player_1": (Box(-1.0, 1.0, (2,)), MultiDiscrete([3, 4, 6])),
    "player_2": (Box(-1.0, 1.0, (2,)), Tuple([Discrete(2), Box(-2.0, 2.0, (1,))])),
}

Build = Callable[[], Any]


def _of(name: str, game: str = "max_of_two_quadratics", **training: Any) -> Build:
    settings = {"gamma": 0.9, "tau": 0.05, **training}
    return lambda: shrunken(ALGORITHMS[name].get_default_config(), game, **settings)


def _team(name: str, **training: Any) -> Build:
    def build() -> Any:
        config = _of(name, **training)().environment(TeamEnv, env_config={"length": 5})
        return config.multi_agent(policies=TEAM, policy_mapping_fn=own_policy)

    return build


def _mixed() -> Any:
    config = _of("ROMMEO-AC")().environment(AnySpacesEnv, env_config={"spaces": MIXED})
    return config.rl_module(
        model_config={"fcnet_hiddens": [8], "conv_filters": [[4, 4, 2], [4, 4, 2]]}
    )


def _many() -> Any:
    config = _of("ROMMEO-AC", replicas=2)().environment(AnySpacesEnv, env_config={"spaces": MANY})
    return config.multi_agent(policies=set(MANY), policy_mapping_fn=own_policy)


def _shared() -> Any:
    config = _of("ROMMEO-AC", "three_player_climbing_game")()
    return config.multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)


CASES: dict[str, Build] = {
    **{name: _of(name) for name in ALGORITHMS},
    **{f"{name}, a team": _team(name) for name in ALGORITHMS},
    **{f"{name}, discrete": _of(name, "climbing_game") for name in ("ROMMEO-AC", "ROMMEO-AC-EMP")},
    **{f"{name}, two Q-networks": _of(name, twin_q=True) for name in ALGORITHMS},
    "ROMMEO-AC, resampled": _of("ROMMEO-AC", opponent_model="importance_sampling"),
    "ROMMEO-AC, discrete, resampled": _of(
        "ROMMEO-AC", "climbing_game", opponent_model="importance_sampling"
    ),
    **{
        f"{name}, a team, three steps ahead": _team(name, n_step=3)
        for name in ("ROMMEO-AC", "MASAC")
    },
    **{
        f"{name}, a team, prioritised replay": _team(name, n_step=(1, 3), replay_priorities=True)
        for name in ("ROMMEO-AC", "MADDPG")
    },
    "ROMMEO-AC, scheduled": _of(
        "ROMMEO-AC",
        alpha={"initial": 10.0, "final": 0.1, "decay_steps": 100},
        kl_coeff=[[0, 1.0], [80, 0.5]],
        q_lr=[[0, 0.01], [100, 0.001]],
        grad_clip=0.5,
        grad_clip_by="global_norm",
        prior_window=30,
    ),
    "ROMMEO-AC, replicas": _of("ROMMEO-AC", replicas=2),
    "MADDPG, replicas": _of("MADDPG", replicas=2),
    "ROMMEO-AC, images and mixed actions": _mixed,
    "ROMMEO-AC, many and mixed choices, replicas": _many,
    "ROMMEO-AC, one policy for three agents": _shared,
}


def trace(name: str) -> dict[str, Any]:
    """A run's losses at each iteration, its networks at the end, and its latest replay rows."""
    algorithm = CASES[name]().build_algo()
    try:
        losses = []
        for _ in range(ITERATIONS):
            learners = algorithm.train()["learners"]
            learners = learners.get("replicas", learners)
            losses.append(
                {
                    f"{policy}/{key}": np.asarray(value, float).tolist()
                    for policy, metrics in sorted(learners.items())
                    if isinstance(metrics, dict)
                    for key, value in sorted(metrics.items())
                    if key.endswith("_loss")
                }
            )
        module = algorithm.learner_group._learner.module
        sizes = {
            policy: sum(float(p.detach().abs().sum()) for p in module[policy].parameters())
            for policy in sorted(module.keys())
        }
        return {"losses": losses, "networks": sizes, "replay": _latest(algorithm.replay_buffer)}
    finally:
        algorithm.stop()


def _latest(buffer: JointReplayBuffer) -> dict[str, float]:
    arrays = buffer.get_state()["arrays"]
    return {
        name: float(np.asarray(array, float).sum())
        for name, array in sorted(arrays.items())
        if np.issubdtype(np.asarray(array).dtype, np.number)
    }


if __name__ == "__main__":
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    traces = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    for case in CASES:
        if case not in traces:
            traces[case] = trace(case)
            sys.stderr.write(f"{case}\n")
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps(traces, indent=1) + "\n")
    ray.shutdown()
