"""Training, from one process to Tune: what is reported, and how often is learned."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from ray import tune
from ray.rllib.callbacks.callbacks import RLlibCallback
from representative import cases
from scipy import stats
from small import DECAY, assert_finite, game_config, policy_of, shared_policy

from rommeo_rllib import ROMMEOAC, ROMMEOACConfig
from rommeo_rllib.temperatures import make_alpha

pytestmark = pytest.mark.usefixtures("ray_session")

BATCH = 16
WARM_UP = 10
STEPS = 40
METRICS = [
    "q_loss",
    "policy_loss",
    "opponent_model_loss",
    "prior_loss",
    "alpha",
    "kl_coeff",
    "policy_entropy",
    "opponent_model_kl",
    "opponent_model_log_likelihood",
    "opponent_prior_log_likelihood",
]
MEANS = ["policy_mean_0", "marginal_policy_mean_0", "opponent_model_mean_0"]


def train(config: ROMMEOACConfig, iterations: int = 1) -> dict:
    """The result of the last of some iterations."""
    algorithm = config.build_algo()
    try:
        for _ in range(iterations):
            result = algorithm.train()
    finally:
        algorithm.stop()
    return result


def updates(result: dict, policy: str = "player_0") -> float:
    """Gradient steps of a policy over the run's lifetime."""
    return result["learners"][policy]["num_module_steps_trained_lifetime"] / BATCH


@pytest.mark.parametrize(
    ("game", "keys"), [("max_of_two_quadratics", METRICS + MEANS), ("climbing_game", METRICS)]
)
def test_each_policy_reports_what_a_person_wants_to_see(game, keys):
    result = train(game_config(game), iterations=3)
    for policy in ("player_0", "player_1"):
        assert_finite(result["learners"][policy], keys)
    assert math.isfinite(result["env_runners"]["episode_return_mean"])
    assert result["env_runners"]["episode_len_mean"] == 5
    assert result["num_env_steps_sampled_lifetime"] == 3 * STEPS


@pytest.mark.parametrize(
    "settings",
    [
        {"num_env_runners": 0, "num_envs_per_env_runner": 4},
        {"num_env_runners": 0, "rollout_fragment_length": 5},
    ],
)
def test_all_ways_of_sampling_train(settings):
    result = train(game_config().env_runners(**settings))
    assert result["num_env_steps_sampled_lifetime"] >= STEPS
    for policy in ("player_0", "player_1"):
        assert_finite(result["learners"][policy], METRICS)
    # As many updates as env steps, but for the warm-up and what does not fill a round.
    sampled = result["num_env_steps_sampled_lifetime"]
    assert sampled - WARM_UP - 10 <= updates(result) <= sampled


@pytest.mark.parametrize("num_learners", cases([1, 2], [2]))
def test_remote_learners_train(num_learners):
    algorithm = game_config().learners(num_learners=num_learners).build_algo()
    try:
        first = algorithm.learner_group.get_weights()
        result = algorithm.train()
        learners = algorithm.learner_group.foreach_learner(
            lambda learner: learner.module.get_state()
        )
        acting = algorithm.env_runner.module.get_state()
    finally:
        algorithm.stop()
    latest, *others = [learner.get() for learner in learners]
    for policy in ("player_0", "player_1"):
        assert_finite(result["learners"][policy], METRICS)
        # All learners have learned the same, and the env runner acts by it.
        for weights in (*[other[policy] for other in others], acting[policy]):
            for name in weights:
                np.testing.assert_array_equal(weights[name], latest[policy][name])
        for name in ("critic.networks.0.0.weight", "policy_network.0.weight"):
            assert (latest[policy][name] != first[policy][name]).any()
    # All learners together see `train_batch_size_per_learner` rows each.
    assert updates(result) == num_learners * (STEPS - WARM_UP + 1)


@pytest.mark.parametrize(("rate", "count"), [(0.5, 15), (1.0, 31), (3.0, 93)])
def test_updates_per_env_step(rate, count):
    # The first updates are due at the env step that ends the warm-up.
    assert updates(train(game_config(updates_per_env_step=rate))) == count


def test_metrics_may_be_averaged_over_all_updates_of_an_iteration():
    """Alpha, which falls from update to update, tells which updates count."""
    alpha = {"initial": 10.0, "final": 1.0, "decay_steps": STEPS}
    last = train(game_config(alpha=alpha))["learners"]["player_0"]
    config = game_config(alpha=alpha, average_metrics=True)
    averaged = train(config)["learners"]["player_0"]
    falling = [10.0 - 9.0 * step / STEPS for step in range(WARM_UP, STEPS + 1)]
    assert last["alpha"] == pytest.approx(falling[-1])
    assert averaged["alpha"] == pytest.approx(np.mean(falling))


def test_a_fraction_of_an_update_is_carried_over():
    # 71 env steps with updates; 35.5 are due by then.
    result = train(game_config(updates_per_env_step=0.5), iterations=2)
    assert updates(result) == 35


@pytest.mark.parametrize("game", ["max_of_two_quadratics", "climbing_game"])
def test_agents_may_share_a_policy(game):
    config = game_config(game)
    config.multi_agent(policies={"shared"}, policy_mapping_fn=shared_policy)
    result = train(config)
    assert result["learners"].keys() - {"__all_modules__"} == {"shared"}
    assert_finite(result["learners"]["shared"], METRICS)


def test_a_policy_that_is_not_to_be_trained_stays_as_it_is():
    config = game_config()
    config.multi_agent(policies_to_train=["player_0"])
    algorithm = config.build_algo()
    try:
        before = {
            policy: torch.nn.utils.parameters_to_vector(policy_of(algorithm, policy).parameters())
            for policy in ("player_0", "player_1")
        }
        before = {policy: vector.detach().clone() for policy, vector in before.items()}
        algorithm.train()
        changed = {
            policy: not torch.equal(
                before[policy],
                torch.nn.utils.parameters_to_vector(policy_of(algorithm, policy).parameters()),
            )
            for policy in before
        }
    finally:
        algorithm.stop()
    assert changed == {"player_0": True, "player_1": False}


# No policy has so much entropy, or hardly any so little.
@pytest.mark.parametrize(("target_entropy", "direction"), [(2.0, 1.0), (-5.0, -1.0)])
@pytest.mark.parametrize("game", ["max_of_two_quadratics", "climbing_game"])
def test_a_learned_alpha_moves_towards_its_target_entropy(game, target_entropy, direction):
    alpha = {"initial": 0.5, "target_entropy": target_entropy}
    result = train(game_config(game, alpha=alpha, alpha_lr=0.01))
    for policy in ("player_0", "player_1"):
        learned = result["learners"][policy]
        assert_finite(learned, [*METRICS, "alpha_loss"])
        # Adam's steps are as long as the learning rate while a gradient's sign stays the same.
        steps = math.log(learned["alpha"] / 0.5) / 0.01
        assert steps == pytest.approx(direction * updates(result), rel=0.1)


def test_a_scheduled_alpha_is_the_same_for_all_policies_but_for_overrides():
    config = game_config()
    overrides = {"player_1": ROMMEOACConfig.overrides(alpha=0.25)}
    config.multi_agent(algorithm_config_overrides_per_module=overrides)
    result = train(config)
    expected = make_alpha(DECAY).value(STEPS)
    assert result["learners"]["player_0"]["alpha"] == pytest.approx(expected)
    assert result["learners"]["player_1"]["alpha"] == pytest.approx(0.25)


@pytest.mark.parametrize(
    "settings",
    [
        {"num_env_runners": 0, "num_envs_per_env_runner": 1},
        {"num_env_runners": 2, "num_envs_per_env_runner": 2, "rollout_fragment_length": 3},
    ],
)
def test_a_schedules_clock_is_env_steps_of_all_env_runners_together(settings):
    config = game_config().env_runners(**settings)
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            result = algorithm.train()
            expected = make_alpha(DECAY).value(result["num_env_steps_sampled_lifetime"])
            for policy in ("player_0", "player_1"):
                assert result["learners"][policy]["alpha"] == pytest.approx(expected)
                assert_finite(result["learners"][policy], METRICS)
    finally:
        algorithm.stop()
    assert 0.1 < expected < 10.0


@pytest.mark.parametrize("game", ["max_of_two_quadratics", "climbing_game"])
def test_greedy_actions_are_the_same_every_time(game):
    algorithm = game_config(game).build_algo()
    try:
        algorithm.train()
        module = algorithm.get_module("player_0")
        batch = {"obs": torch.ones(64, 1)}
        with torch.no_grad():
            greedy = [module.forward_inference(batch)["actions"] for _ in range(2)]
            exploring = module.forward_exploration(batch)["actions"]
    finally:
        algorithm.stop()
    assert torch.equal(greedy[0], greedy[1])
    assert len(torch.unique(greedy[0], dim=0)) == 1
    assert len(torch.unique(exploring, dim=0)) > 1


def test_an_evaluation_is_greedy():
    config = game_config().evaluation(
        evaluation_interval=1,
        evaluation_duration=4,
        evaluation_config={"explore": False, "env_config": {"plays_per_episode": 1}},
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        rewards = []
        for _ in range(2):
            evaluated = algorithm.evaluate()["env_runners"]
            rewards += [evaluated["episode_return_min"], evaluated["episode_return_max"]]
    finally:
        algorithm.stop()
    assert len(set(rewards)) == 1


@pytest.mark.slow
def test_remote_env_runners_evaluate_beside_the_training():
    config = game_config().evaluation(
        evaluation_interval=1,
        evaluation_num_env_runners=1,
        evaluation_parallel_to_training=True,
        evaluation_duration=3,
        evaluation_config={"explore": False},
    )
    result = train(config)
    assert result["evaluation"]["env_runners"]["num_episodes"] == 3
    assert_finite(result["learners"]["player_0"], METRICS)


class CountsEpisodes(RLlibCallback):
    def on_episode_end(self, *, episode: Any, metrics_logger: Any, **kwargs: Any) -> None:
        # Its length is that of the latest fragment alone.
        metrics_logger.log_value("plays_seen", episode.env_t, reduce="sum")


def test_callbacks_see_episodes_and_their_metrics_are_reported():
    result = train(game_config().callbacks(CountsEpisodes))
    assert result["env_runners"]["plays_seen"] == STEPS
    assert_finite(result["learners"]["player_0"], METRICS)


STOP = {"training_iteration": 1}


@pytest.mark.slow
def test_tune_runs_the_algorithm_by_name_with_a_config_object(tmp_path):
    analysis = tune.run(
        "ROMMEO-AC", config=game_config(), stop=STOP, storage_path=str(tmp_path), verbose=0
    )
    (trial,) = analysis.trials
    assert trial.status == "TERMINATED"
    assert_finite(trial.last_result["learners"]["player_0"], METRICS)


@pytest.mark.slow
def test_tune_runs_the_algorithm_by_class_with_a_dict(tmp_path):
    analysis = tune.run(
        ROMMEOAC,
        config=game_config().to_dict(),
        stop=STOP,
        storage_path=str(tmp_path),
        verbose=0,
    )
    (trial,) = analysis.trials
    assert trial.status == "TERMINATED"
    assert_finite(trial.last_result["learners"]["player_1"], METRICS)


def test_a_tuner_searches_over_alpha(tmp_path):
    config = game_config(
        alpha={"initial": tune.grid_search([5.0, 1.0]), "final": 0.1, "decay_steps": 100}
    )
    tuner = tune.Tuner(
        "ROMMEO-AC",
        param_space=config,
        run_config=tune.RunConfig(stop=STOP, storage_path=str(tmp_path), verbose=0),
    )
    results = tuner.fit()
    assert not results.errors
    found = sorted(result.metrics["learners"]["player_0"]["alpha"] for result in results)
    expected = [
        make_alpha({"initial": initial, "final": 0.1, "decay_steps": 100}).value(STEPS)
        for initial in (1.0, 5.0)
    ]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("fast", [True, False])
def test_a_random_warm_up_is_uniform_and_ends_with_the_first_update(fast):
    config = game_config(
        random_warm_up=True, num_steps_sampled_before_learning_starts=200, fast_sampling=fast
    )
    # Untrained networks would never act like this.
    algorithm = config.training(alpha=0.01).build_algo()
    for policy in ("player_0", "player_1"):
        with torch.no_grad():
            policy_of(algorithm, policy).policy_network[-1].bias.copy_(torch.tensor([1.0, -5.0]))
    for _ in range(6):
        algorithm.train()
    arrays = algorithm.replay_buffer.get_state()["arrays"]
    algorithm.stop()
    for agent in (0, 1):
        actions = arrays[f"{agent}/actions"].ravel()
        assert stats.kstest(actions[:200], stats.uniform(-1.0, 2.0).cdf).pvalue > 1e-4
        assert np.std(actions[201:]) < 0.3


def test_a_random_warm_up_is_over_for_good_in_a_restored_run(tmp_path):
    config = game_config(random_warm_up=True)
    algorithm = config.build_algo()
    algorithm.train()
    path = algorithm.save_to_path(str(tmp_path))
    algorithm.stop()
    restored = config.copy(copy_frozen=False).build_algo()
    assert not policy_of(restored, "player_0").has_learned
    restored.restore_from_path(path)
    assert policy_of(restored, "player_0").has_learned
    assert restored.env_runner.module["player_0"].has_learned
    restored.stop()
