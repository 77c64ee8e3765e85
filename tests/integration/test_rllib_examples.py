"""RLlib's own multi-agent examples, and programs in their manner, with another config class."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import ray.rllib.examples.multi_agent as examples
from ray.rllib.algorithms.dqn import DQNConfig
from ray.rllib.algorithms.sac import SACConfig
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.examples.envs.classes.multi_agent import MultiAgentCartPole, MultiAgentPendulum
from torch import nn

from rommeo_rllib import ROMMEOACConfig

pytestmark = pytest.mark.slow

TRAINING = """.training(
            num_steps_sampled_before_learning_starts=100,
            updates_per_env_step=0.01,
            train_batch_size_per_learner=32,
        )
"""


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("rock_paper_scissors_heuristic_vs_learned", []),
        ("multi_agent_cartpole", ["--num-envs-per-env-runner", "2"]),
    ],
)
def test_an_example_of_rllibs_runs_with_only_config_class_and_training_changed(
    name, arguments, tmp_path
):
    (folder,) = examples.__path__
    source = (Path(folder) / f"{name}.py").read_text()
    before = "get_trainable_cls(args.algo)\n        .get_default_config()\n"
    assert source.count(before) == 1
    source = source.replace(before, f"ROMMEOACConfig(){TRAINING}")
    # Its own call, where there is one.
    source = re.sub(r"\.training\(\n\s+vf_loss_coeff=[\d.]+,\n\s+\)\n", "", source)
    script = tmp_path / f"{name}.py"
    script.write_text(f"from rommeo_rllib import ROMMEOACConfig\n{source}")
    command = [sys.executable, str(script), "--no-tune", "--stop-iters", "1", "--num-agents", "2"]
    finished = subprocess.run(
        [*command, "--num-env-runners", "0", "--num-cpus", "2", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
    assert "iter=0 R=" in finished.stdout


SAC_STYLE: dict[str, Any] = {
    "actor_lr": 1e-4,
    "critic_lr": [[0, 5e-4], [1000, 1e-4]],
    "alpha_lr": 6e-4,
    "lr": None,
    "initial_alpha": 0.8,
    "target_entropy": "auto",
    "n_step": (1, 3),
    "tau": 0.01,
    "twin_q": True,
    "target_network_update_freq": 1,
    "training_intensity": 3.2,
    "train_batch_size_per_learner": 32,
    "replay_buffer_config": {
        "type": "MultiAgentPrioritizedEpisodeReplayBuffer",
        "capacity": 3000,
        "alpha": 0.9,
        "beta": 0.1,
    },
    "num_steps_sampled_before_learning_starts": 50,
}
SAC_MODEL = {
    "fcnet_hiddens": [16],
    "fcnet_activation": "swish",
    "fcnet_kernel_initializer": nn.init.kaiming_uniform_,
    "head_fcnet_activation": None,
    "head_fcnet_kernel_initializer": nn.init.orthogonal_,
}
DQN_STYLE: dict[str, Any] = {
    "lr": 4e-4,
    "train_batch_size_per_learner": 32,
    "replay_buffer_config": {
        "type": "MultiAgentPrioritizedEpisodeReplayBuffer",
        "capacity": 2000,
        "alpha": 0.5,
        "beta": 0.5,
    },
    "n_step": 3,
    "double_q": True,
    "num_atoms": 1,
    "noisy": False,
    "dueling": True,
    "epsilon": [(0, 1.0), (1000, 0.05)],
    "num_steps_sampled_before_learning_starts": 50,
    "training_intensity": 3.2,
}
DQN_MODEL = {
    "fcnet_hiddens": [16],
    "fcnet_activation": "tanh",
    "fcnet_bias_initializer": "zeros_",
    "head_fcnet_hiddens": [16],
}


def in_the_manner_of_the_examples(config: Any, env: type, training: dict, model: dict) -> Any:
    config = (
        config.environment(env, env_config={"num_agents": 2})
        .training(**training)
        .rl_module(model_config=DefaultModelConfig(**model))
        .reporting(min_sample_timesteps_per_iteration=150, min_time_s_per_iteration=None)
    )
    return config.multi_agent(
        policies={"p0", "p1"}, policy_mapping_fn=lambda agent, *args, **kwargs: f"p{agent}"
    )


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    ("config_class", "env", "training", "model", "capacity", "in_vain"),
    [
        (SACConfig, MultiAgentPendulum, SAC_STYLE, SAC_MODEL, 3000, set()),
        (
            DQNConfig,
            MultiAgentCartPole,
            DQN_STYLE,
            DQN_MODEL,
            2000,
            {"lr", "double_q", "dueling", "epsilon", "head_fcnet_hiddens"},
        ),
    ],
)
def test_a_program_for_another_algorithm_runs_after_one_message_at_most(
    config_class, env, training, model, capacity, in_vain
):
    in_the_manner_of_the_examples(config_class(), env, training, model).validate()
    swapped = in_the_manner_of_the_examples(ROMMEOACConfig(), env, training, model)
    if in_vain:
        with pytest.raises(ValueError, match="settings cannot be used here") as error:
            swapped.build_algo()
        listed = set(re.findall(r"^- `(\w+)` is ", str(error.value), re.MULTILINE))
        assert listed == in_vain
    kept = {key: value for key, value in training.items() if key not in in_vain}
    model = {key: value for key, value in model.items() if key not in in_vain}
    config = in_the_manner_of_the_examples(ROMMEOACConfig(), env, kept, model)
    algorithm = config.build_algo()
    result = algorithm.train()
    algorithm.stop()
    assert (config.replay_capacity, config.updates_per_env_step) == (capacity, 0.1)
    exponents = {key: training["replay_buffer_config"][key] for key in ("alpha", "beta")}
    assert (config.replay_priorities, config.n_step) == (exponents, training["n_step"])
    assert set(result["learners"]) == {"__all_modules__", "p0", "p1"}
    # From the 50th env step on a tenth of an update each.
    assert result["learners"]["p0"]["num_module_steps_trained_lifetime"] == 10 * 32
