"""Several learners learn what one would from their rows together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Discrete
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import NUM_ENV_STEPS_SAMPLED_LIFETIME
from representative import cases
from small import assert_equal_tensors, game_config, policy_of, shrunken
from test_any_spaces import IMAGE, spaces_config

from rommeo_rllib.registration import ALGORITHMS

pytestmark = pytest.mark.usefixtures("ray_session")

ROWS = 12
TAU = 0.1


def deterministic_config(num_learners: int, **training: Any) -> Any:
    """An algorithm whose losses draw no random numbers."""
    settings = {"exploration_noise": 0.1, "tau": TAU, "grad_clip": 0.5, **training}
    config = shrunken(ALGORITHMS["DDPG-OM"].get_default_config(), **settings)
    return config.training(grad_clip_by="global_norm").learners(num_learners=num_learners)


def batches_of(algorithm: Any, rows: Mapping[str, int]) -> list[dict[str, dict[str, np.ndarray]]]:
    """Some batches from the replay, with so many rows of each policy."""
    batches = []
    for _ in range(3):
        drawn = algorithm._batches(ROWS, env_steps=0)
        batches.append({p: {n: c[: rows[p]] for n, c in drawn[p].items()} for p in rows})
    return batches


def update(algorithm: Any, batches: Any) -> None:
    for batch in batches:
        together = MultiAgentBatch({p: SampleBatch(c) for p, c in batch.items()}, env_steps=ROWS)
        timesteps = {NUM_ENV_STEPS_SAMPLED_LIFETIME: 100}
        if algorithm.learner_group.is_local:
            algorithm.learner_group._learner.update(together, timesteps=timesteps)
        else:
            algorithm.learner_group.update(batch=together, timesteps=timesteps)


def weights_of(algorithm: Any) -> list[dict[str, dict[str, Any]]]:
    """Of each learner all parameters of all policies, targets included."""
    if algorithm.learner_group.is_local:
        states = [algorithm.learner_group._learner.module.get_state()]
    else:
        found = algorithm.learner_group.foreach_learner(lambda learner: learner.module.get_state())
        states = [result.get() for result in found]
    return [
        {p: {n: torch.as_tensor(v) for n, v in state.items()} for p, state in one.items()}
        for one in states
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    "rows",
    [
        {"player_0": 12, "player_1": 12},
        # Shards of unequal length, and one of which the second learner gets nothing.
        {"player_0": 5, "player_1": 5},
        {"player_0": 12},
        {"player_0": 1, "player_1": 1},
    ],
)
def test_two_learners_equal_one_on_the_joint_batch(rows, two_learners, one_learner):
    batches = batches_of(one_learner, rows)
    before = weights_of(one_learner)
    for algorithm in (one_learner, two_learners):
        update(algorithm, batches)
    (expected,) = weights_of(one_learner)
    for found in weights_of(two_learners):
        for policy in expected:
            torch.testing.assert_close(found[policy], expected[policy], atol=1e-5, rtol=1e-4)
    for policy in rows:
        moved = (
            expected[policy]["critic.networks.0.0.weight"]
            - before[0][policy]["critic.networks.0.0.weight"]
        )
        # More than the tolerance, by far.
        assert moved.abs().max() > 5e-4


@pytest.fixture(scope="module")
def one_learner(ray_session):
    algorithm = deterministic_config(0).build_algo()
    algorithm.train()
    yield algorithm
    algorithm.stop()


@pytest.fixture(scope="module")
def two_learners(one_learner, tmp_path_factory):
    algorithm = deterministic_config(2).build_algo()
    # Both begin with the same weights, and the optimizers with the same moments.
    state = one_learner.learner_group._learner.get_state()
    algorithm.learner_group.foreach_learner(lambda learner: learner.set_state(state))
    yield algorithm
    algorithm.stop()


@pytest.mark.slow
def test_learners_without_a_seed_start_from_equal_weights_and_targets():
    config = game_config().learners(num_learners=2).debugging(seed=None)
    algorithm = config.build_algo()
    try:
        one, other = weights_of(algorithm)
    finally:
        algorithm.stop()
    for policy in one:
        assert_equal_tensors(one[policy], other[policy])


def test_targets_move_by_tau_towards_their_networks():
    algorithm = deterministic_config(0).build_algo()
    try:
        algorithm.train()
        policy = policy_of(algorithm, "player_0")
        pairs = [
            (policy.critic.networks[0], policy.critic.target_networks[0]),
            (policy.policy_network, policy.target_policy_network),
        ]
        before = [[p.detach().clone() for p in target.parameters()] for _, target in pairs]
        update(algorithm, batches_of(algorithm, {"player_0": ROWS, "player_1": ROWS})[:1])
        for (network, target), old in zip(pairs, before, strict=True):
            for new, found, start in zip(
                network.parameters(), target.parameters(), old, strict=True
            ):
                torch.testing.assert_close(found.detach(), start + TAU * (new.detach() - start))
                assert not torch.equal(new, start)
    finally:
        algorithm.stop()


@pytest.mark.parametrize("by", cases(["value", "norm", "global_norm"], ["global_norm"]))
@pytest.mark.parametrize("sees_images", [False, True])
def test_the_gradients_of_each_policys_networks_are_clipped(by, sees_images):
    config = game_config("climbing_game")
    if sees_images:
        config = spaces_config({agent: (IMAGE, Discrete(2)) for agent in "ab"})
    config.training(alpha="auto", grad_clip=1e-3, grad_clip_by=by)
    algorithm = config.build_algo()
    try:
        algorithm.train()
        learner = algorithm.learner_group._learner
        for group in learner.groups:
            assert group.stacked != sees_images
            for network in learner.get_optimizer(group.ids[0]).param_groups:
                gradients = [p.grad.reshape(len(group), -1) for p in network["params"]]
                if by == "value":
                    greatest = [gradient.abs().amax(-1) for gradient in gradients]
                else:
                    greatest = [gradient.norm(dim=-1) for gradient in gradients]
                found = torch.stack(greatest)
                total = found.norm(dim=0) if by == "global_norm" else found.amax(0)
                assert (total <= 1.001e-3).all(), network["name"]
                # They are not just small.
                assert network["name"] != "q" or (total > 0.9e-3).all()
    finally:
        algorithm.stop()


@pytest.mark.parametrize("num_learners", cases([0, 2], [0]))
def test_td_errors_of_all_learners_become_priorities(num_learners):
    config = game_config(replay_priorities={"alpha": 1.0}, n_step=2).learners(
        num_learners=num_learners
    )
    algorithm = config.build_algo()
    try:
        algorithm.train()
        replay = algorithm.replay_buffer
        before = replay.get_state()["arrays"]
        rows = algorithm.config.total_train_batch_size
        assert rows == 16 * max(num_learners, 1)
        algorithm._gradient_step(40)
        after = replay.get_state()["arrays"]
        for index in range(2):
            changed = before[f"{index}/priority"] != after[f"{index}/priority"]
            assert 0 < changed.sum() <= rows
    finally:
        algorithm.stop()
