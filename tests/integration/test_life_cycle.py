"""What programs written for RLlib do with an algorithm, at any time of its life."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from environments import TeamEnv
from ray.rllib.callbacks.callbacks import RLlibCallback
from ray.rllib.connectors.env_to_module import MeanStdFilter
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from small import assert_finite, game_config, own_policy

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner

pytestmark = pytest.mark.usefixtures("ray_session")

LOSSES = ["q_loss", "policy_loss", "opponent_model_loss", "prior_loss"]
STEPS = "num_env_steps_sampled_lifetime"


def team_config(**training: Any) -> ROMMEOACConfig:
    """Three agents whose observations have unequal shapes."""
    agents = {"agent_0", "agent_1", "agent_2"}
    return (
        ROMMEOACConfig()
        .environment(TeamEnv, env_config={"length": 5})
        .multi_agent(policies=agents, policy_mapping_fn=own_policy)
        .training(
            train_batch_size_per_learner=8, num_steps_sampled_before_learning_starts=8, **training
        )
        .rl_module(model_config={"fcnet_hiddens": [4]})
        .reporting(min_sample_timesteps_per_iteration=20)
        .debugging(seed=0)
    )


def test_an_algorithm_is_ready_when_on_algorithm_init_is_called(tmp_path):
    first = game_config().build_algo()
    first.train()
    checkpoint = first.save_to_path(str(tmp_path / "checkpoint"))
    weights = first.get_weights()
    first.stop()
    done = []

    def ready(*, algorithm: Any, **kwargs: Any) -> None:
        algorithm.set_weights(weights)
        assert "replay_buffer" in algorithm.get_state()
        algorithm.restore_from_path(checkpoint)
        assert len(algorithm.replay_buffer) == 40
        done.append(algorithm)

    algorithm = game_config().callbacks(on_algorithm_init=ready).build_algo()
    try:
        assert done == [algorithm]
        result = algorithm.train()
        assert_finite(result["learners"]["player_0"], LOSSES)
        assert result[STEPS] == 80
    finally:
        algorithm.stop()


def test_an_iteration_may_be_as_long_as_a_number_of_trained_steps():
    config = game_config().reporting(
        min_sample_timesteps_per_iteration=10, min_train_timesteps_per_iteration=500
    )
    algorithm = config.build_algo()
    try:
        for iteration in (1, 2):
            result = algorithm.train()
            trained = result["learners"]["__all_modules__"]["num_env_steps_trained_lifetime"]
            assert trained >= 500 * iteration
        # 16 rows an update, an update an env step.
        assert trained == 16 * (result[STEPS] - 9)
    finally:
        algorithm.stop()


def test_an_iteration_that_would_never_end_is_refused():
    config = game_config().reporting(min_train_timesteps_per_iteration=500)
    with pytest.raises(ValueError, match="`min_train_timesteps_per_iteration` is 500"):
        config.multi_agent(policies_to_train=[]).build_algo()


def test_an_evaluation_of_ones_own_gets_rllibs_episodes():
    returns = []

    def evaluate(algorithm: Any, env_runners: Any) -> tuple[dict[str, Any], int, int]:
        episodes = env_runners.local_env_runner.sample(num_episodes=2)
        returns.extend(episode.get_return() for episode in episodes)
        return {"mean": float(np.mean(returns))}, sum(map(len, episodes)), 0

    config = game_config().evaluation(
        evaluation_interval=1, evaluation_num_env_runners=0, custom_evaluation_function=evaluate
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        assert len(returns) == 2
        assert all(map(np.isfinite, returns))
    finally:
        algorithm.stop()


def test_who_samples_by_hand_gets_rllibs_episodes_and_training_goes_on():
    algorithm = game_config().build_algo()
    try:
        algorithm.train()
        episodes = algorithm.env_runner.sample(num_episodes=2, explore=False)
        assert all(isinstance(episode, MultiAgentEpisode) for episode in episodes)
        assert [len(episode) for episode in episodes] == [5, 5]
        before = len(algorithm.replay_buffer)
        result = algorithm.train()
        assert_finite(result["learners"]["player_0"], LOSSES)
        assert len(algorithm.replay_buffer) == before + 40
    finally:
        algorithm.stop()


def test_evaluation_by_rllib_samples_without_per_step_bookkeeping(monkeypatch):
    def refuse(self: Any, **settings: Any) -> None:
        raise AssertionError("RLlib's own way of sampling")

    config = game_config().evaluation(evaluation_interval=1, evaluation_duration=3)
    algorithm = config.build_algo()
    try:
        monkeypatch.setattr(JointActionEnvRunner, "_sample_episodes", refuse)
        result = algorithm.train()
        assert result["evaluation"]["env_runners"]["num_episodes"] == 3
    finally:
        algorithm.stop()


class OnlyResults(RLlibCallback):
    def on_train_result(self, *, result: dict[str, Any], **kwargs: Any) -> None:
        result["seen"] = True


@pytest.mark.parametrize(
    "callbacks",
    [{"callbacks_class": OnlyResults}, {"on_train_result": OnlyResults().on_train_result}],
    ids=["class", "function"],
)
def test_callbacks_that_see_no_episode_leave_sampling_as_it_is(callbacks):
    algorithm = game_config().callbacks(**callbacks).build_algo()
    try:
        assert algorithm.env_runner.uses_fast_path
        assert algorithm.train()["seen"]
    finally:
        algorithm.stop()


def filtering(config: ROMMEOACConfig) -> ROMMEOACConfig:
    return config.env_runners(
        env_to_module_connector=lambda env, spaces, device: MeanStdFilter(multi_agent=True)
    )


def filter_of(env_runner: Any) -> MeanStdFilter:
    (found,) = [c for c in env_runner._env_to_module.connectors if isinstance(c, MeanStdFilter)]
    return found


def counts(state: dict[str, Any]) -> dict[str, int]:
    return {agent: own["running_stats"][0]["num_pushes"] for agent, own in state.items()}


def test_evaluation_normalises_by_what_training_has_seen():
    config = filtering(team_config()).evaluation(evaluation_interval=1, evaluation_duration=1)
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            algorithm.train()
        trained = counts(filter_of(algorithm.env_runner).get_state())
        evaluated = counts(filter_of(algorithm.eval_env_runner).get_state())
    finally:
        algorithm.stop()
    assert min(trained.values()) >= 40
    for agent, seen in trained.items():
        # And the steps of the last evaluation's own episode.
        assert seen <= evaluated[agent] <= seen + 8


@pytest.mark.slow
def test_remote_env_runners_share_statistics_of_agents_of_unequal_shapes():
    config = filtering(team_config()).env_runners(num_env_runners=2)
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            result = algorithm.train()
        assert_finite(result["learners"]["agent_1"], LOSSES)
        merged = counts(filter_of(algorithm.env_runner).get_state())
    finally:
        algorithm.stop()
    assert merged.keys() == {"agent_0", "agent_1", "agent_2"}
    assert min(merged.values()) >= 40


def test_a_replay_that_would_not_fit_is_refused_with_the_capacity_that_would():
    with pytest.raises(ValueError, match=r"`replay_capacity` is 1000000000000 env steps, which"):
        game_config(replay_capacity=10**12).build_algo()
