"""All that this package uses of Ray's without a promise that it stays; nothing of it elsewhere.

Ray's private names may change with any version. Each use has a small function or class here, and a
test in `tests/unit/test_rllib_boundary.py` that says what it takes for granted. RLlib's private
methods that classes elsewhere override are listed below.
"""

from __future__ import annotations

from collections.abc import Mapping

CONNECTORS = ("env_to_module", "module_to_env")
"""The pipelines of an env runner."""

KEPT_AS = {
    "learner_connector": "_learner_connector",
    "model_config": "_model_config",
    "rl_module_spec": "_rl_module_spec",
    **{f"{name}_connector": f"_{name}_connector" for name in CONNECTORS},
}
"""The attribute that holds what a method's argument of this name sets, where it is another one."""

HOOKS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "ray.rllib.algorithms.algorithm.Algorithm": {
        "_evaluate_with_auto_duration": ("self", "parallel_train_future"),
        "_evaluate_with_fixed_duration": ("self",),
    },
    "ray.rllib.algorithms.algorithm_config.AlgorithmConfig": {
        "_model_config_auto_includes": ("self",),
    },
    "ray.rllib.core.learner.torch.torch_learner.TorchLearner": {
        "_log_trainable_parameters": ("self",),
        "_make_modules_ddp_if_necessary": ("self",),
        "_set_optimizer_state": ("self", "state"),
    },
    "ray.rllib.core.rl_module.torch.torch_rl_module.TorchRLModule": {
        "_forward": ("self", "batch", "kwargs"),
        "_forward_exploration": ("self", "batch", "kwargs"),
    },
    "ray.rllib.env.multi_agent_env_runner.MultiAgentEnvRunner": {
        "_log_episode_metrics": (
            *("self", "length", "ret", "sec", "agents", "modules", "agent_steps"),
        ),
        "_new_episode": ("self", "env_index", "episodes"),
    },
}
"""By class of RLlib's the private methods that are overridden, with their parameters."""
