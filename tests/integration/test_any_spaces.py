"""Agents of all kinds of spaces train, act within their spaces and are replayed as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from environments import AnySpacesEnv
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text, Tuple
from ray.rllib.connectors.env_to_module import MeanStdFilter
from representative import cases
from small import assert_finite, own_policy, policy_of, shared_policy
from torch import nn

from rommeo_rllib import ROMMEOACConfig, ROMMEOPolicy
from rommeo_rllib.joint_action.modules.image_encoder import has_images
from rommeo_rllib.registration import ALGORITHMS

pytestmark = pytest.mark.usefixtures("ray_session")

LOSSES = ["q_loss", "policy_loss", "opponent_model_loss", "prior_loss", "policy_entropy"]
SEEN = Box(-1.0, 1.0, (3,), np.float32)
IMAGE = Box(0, 255, (8, 8, 3), np.uint8)
FREE = Box(-np.inf, np.inf, (2,), np.float32)

ACTIONS: dict[str, Any] = {
    "single choice": Discrete(1),
    "choice from 5 on": Discrete(3, start=5),
    "choices, counted": MultiDiscrete([3, 2]),
    "choices, sampled": MultiDiscrete([5, 5, 5]),
    "bits": MultiBinary(3),
    "bounded": Box(np.array([0, -5], np.float32), np.array([1, 5], np.float32)),
    "scalar": Box(-1.0, 1.0, (), np.float32),
    "unbounded": FREE,
    "mixed": Dict({"move": Box(-2.0, 2.0, (2,), np.float32), "call": Discrete(3, start=1)}),
    "nested": Tuple((MultiBinary(2), Dict({"x": Tuple((Discrete(2), FREE))}))),
}
OBSERVATIONS: dict[str, Any] = {
    "one state": Discrete(1),
    "states from 2 on": Discrete(4, start=2),
    "choices": MultiDiscrete([3, 2]),
    "bits": MultiBinary(4),
    "matrix": Box(-1.0, 1.0, (2, 3), np.float32),
    "unbounded": FREE,
    "nested": Dict({"b": Tuple((Discrete(2), SEEN)), "a": MultiBinary(2)}),
    "image": IMAGE,
    "image and more": Dict({"map": IMAGE, "self": SEEN}),
    "image of floats": Box(-1.0, 1.0, (8, 8, 1), np.float32),
    "images": Tuple((IMAGE, Dict({"x": Box(0.0, 1.0, (10, 10, 1), np.float32)}), Discrete(2))),
}


FAR = Box(50.0, 51.0, (3,), np.float32)


def spaces_config(
    spaces: dict[str, Any], mapping: Any = own_policy, base: Any = None, **model: Any
):
    policies = {mapping(agent) for agent in spaces}
    filters = {"conv_filters": [[4, 3, 2]]}
    if not any(has_images(seen, filters) for seen, _ in spaces.values()):
        filters = {}
    config = (
        (base or ROMMEOACConfig())
        .environment(AnySpacesEnv, env_config={"spaces": spaces})
        .multi_agent(policies=policies, policy_mapping_fn=mapping)
        .training(
            train_batch_size_per_learner=8,
            num_steps_sampled_before_learning_starts=8,
            replay_capacity=50,
        )
        .rl_module(model_config={"fcnet_hiddens": [8], **filters, **model})
        .reporting(min_sample_timesteps_per_iteration=11)
        .debugging(seed=0)
    )
    return config.training(alpha=1.0) if base is None else config


def replayed(config: ROMMEOACConfig) -> dict[str, np.ndarray]:
    """What the replay holds after an iteration, whose losses are checked."""
    algorithm = config.build_algo()
    try:
        learners = algorithm.train()["learners"]
        for policy in config.policies:
            assert_finite(learners[policy], LOSSES)
        return algorithm.replay_buffer.get_state()["arrays"]
    finally:
        algorithm.stop()


def assert_sampled_alike(spaces: dict[str, Any]) -> dict[str, np.ndarray]:
    """Both ways of sampling bring the same, as long as no weights have changed."""
    fast, own = (
        replayed(spaces_config(spaces).training(fast_sampling=fast)) for fast in (True, False)
    )
    assert fast.keys() == own.keys()
    for column in fast:
        np.testing.assert_allclose(fast[column][:8], own[column][:8], atol=1e-6, err_msg=column)
        assert fast[column].dtype.kind == own[column].dtype.kind, column
    return fast


def test_agents_with_actions_of_all_kinds_learn_and_act_within_their_spaces():
    assert_sampled_alike({agent: (SEEN, space) for agent, space in ACTIONS.items()})


def test_agents_with_observations_of_all_kinds_learn_from_what_they_saw():
    arrays = assert_sampled_alike({a: (space, Discrete(2)) for a, space in OBSERVATIONS.items()})
    stored = {agent: arrays[f"{i}/obs"] for i, agent in enumerate(sorted(OBSERVATIONS))}
    assert stored["image"].dtype == np.uint8
    assert stored["image"].shape[1:] == IMAGE.shape
    assert stored["nested"].shape[1:] == (6,)


def test_an_encoder_is_trained_by_the_q_function_alone():
    config = spaces_config({"a": (IMAGE, Discrete(2)), "b": (IMAGE, Discrete(2))})
    for learning_rates, changes in (
        ({"q_lr": 0.0}, False),
        (dict.fromkeys(["policy_lr", "opponent_model_lr", "opponent_prior_lr"], 0.0), True),
    ):
        algorithm = config.copy(copy_frozen=False).training(**learning_rates).build_algo()
        try:
            before = nn.utils.parameters_to_vector(policy_of(algorithm, "a").encoder.parameters())
            before = before.detach().clone()
            algorithm.train()
            after = nn.utils.parameters_to_vector(policy_of(algorithm, "a").encoder.parameters())
        finally:
            algorithm.stop()
        assert torch.equal(before, after) != changes


class AveragingPolicy(ROMMEOPolicy):
    """Sees the mean of its observation, times something that it learns."""

    def build_encoder(self) -> nn.Module:
        return nn.Sequential(nn.Linear(self.observation_size, 1), nn.Tanh())


def test_a_policy_may_have_an_encoder_of_its_own():
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    config = spaces_config({"a": (SEEN, Discrete(2)), "b": (SEEN, Discrete(2))}, shared_policy)
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=AveragingPolicy))
    algorithm = config.build_algo()
    try:
        learners = algorithm.train()["learners"]
        assert_finite(learners["shared"], LOSSES)
        policy = policy_of(algorithm, "shared")
        assert isinstance(policy, AveragingPolicy)
        assert policy.observation_size == 1
    finally:
        algorithm.stop()


class FrozenEncoderPolicy(AveragingPolicy):
    """With an encoder that was trained before, and is to stay as it is."""

    def build_encoder(self) -> nn.Module:
        return super().build_encoder().requires_grad_(False)


def test_an_encoder_that_is_frozen_stays_as_it_is():
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    config = spaces_config({"a": (SEEN, Discrete(2)), "b": (SEEN, Discrete(2))}, shared_policy)
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=FrozenEncoderPolicy))
    algorithm = config.build_algo()
    try:
        encoder = policy_of(algorithm, "shared").encoder
        before = nn.utils.parameters_to_vector(encoder.parameters()).clone()
        assert_finite(algorithm.train()["learners"]["shared"], LOSSES)
        assert torch.equal(nn.utils.parameters_to_vector(encoder.parameters()), before)
    finally:
        algorithm.stop()


class NormalisingPolicy(ROMMEOPolicy):
    """Normalises what it sees by means and deviations over the batch."""

    def build_encoder(self) -> nn.Module:
        size = self.observation_size
        return nn.Sequential(nn.BatchNorm1d(size), nn.Dropout(0.1), nn.Linear(size, 4))


@pytest.mark.parametrize("fast", [True, False])
def test_an_encoder_with_a_state_learns_and_acts_by_what_it_has_learned(fast):
    from ray.rllib.core.rl_module.rl_module import RLModuleSpec

    spaces = {"a": (FAR, Discrete(2)), "b": (FAR, Discrete(2))}
    config = spaces_config(spaces).training(fast_sampling=fast)
    config.rl_module(rl_module_spec=RLModuleSpec(module_class=NormalisingPolicy))
    algorithm = config.build_algo()
    try:
        assert_finite(algorithm.train()["learners"]["a"], LOSSES)
        policy, acting = policy_of(algorithm, "a"), algorithm.env_runner.module["a"]
        means = policy.encoder[0].running_mean
        # Four updates of momentum 0.1, each by one batch.
        assert policy.encoder[0].num_batches_tracked == 4
        torch.testing.assert_close(means, torch.full((3,), 50.5 * (1 - 0.9**4)), atol=0.3, rtol=0)
        for encoder in (acting.encoder, policy.target_encoder):
            torch.testing.assert_close(encoder[0].running_mean, means, rtol=0, atol=0)
    finally:
        algorithm.stop()


@pytest.mark.parametrize(
    "algorithm", cases(sorted(set(ALGORITHMS) - {"ROMMEO-AC"}), ["MASAC", "DDPG-OM"])
)
def test_all_algorithms_learn_from_images_among_other_observations(algorithm):
    spaces = {a: (OBSERVATIONS[a], ACTIONS["bounded"]) for a in ("image", "images", "matrix")}
    config = spaces_config(spaces, base=ALGORITHMS[algorithm].get_default_config())
    algorithm = config.build_algo()
    try:
        result = algorithm.train()["learners"]
        for agent in spaces:
            assert_finite(result[agent], ["q_loss", "policy_loss"])
        policy = policy_of(algorithm, "images")
        learned = nn.utils.parameters_to_vector(policy.encoder.parameters())
        target = nn.utils.parameters_to_vector(policy.target_encoder.parameters())
        assert not torch.equal(learned, target)
        torch.testing.assert_close(target, learned, atol=0.01, rtol=0)
    finally:
        algorithm.stop()


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        (
            {"a": (SEEN, Discrete(2)), "b": (SEEN, Text(3))},
            r"Agent 'b' has the action space Text.* allowed: Discrete, MultiDiscrete",
        ),
        (
            {"a": (SEEN, Discrete(2)), "b": (SEEN, Box(0, 9, (2,), np.int64))},
            r"Agent 'b' has the action space Box.*a MultiDiscrete says the same",
        ),
        (
            {"a": (SEEN, Discrete(2)), "b": (Dict({"x": Text(3)}), Discrete(2))},
            r"Agent 'b' has the observation space Dict.*, Text.* in it",
        ),
    ],
)
def test_a_space_that_cannot_be_served_is_named_when_the_algorithm_is_built(spaces, message):
    with pytest.raises(ValueError, match=message):
        spaces_config(spaces).build_algo()


def test_an_image_of_unusual_size_asks_for_filters():
    spaces = {"a": (IMAGE, Discrete(2)), "b": (IMAGE, Discrete(2))}
    with pytest.raises(ValueError, match=r"\(8, 8, 3\), .*give some, .*conv_filters"):
        spaces_config(spaces, conv_filters=None).build_algo()


def test_the_replay_holds_what_connectors_make_of_observations():
    spaces = {agent: (FAR, Discrete(2)) for agent in "ab"}
    config = spaces_config(spaces).env_runners(
        env_to_module_connector=lambda env, spaces, device: MeanStdFilter(multi_agent=True)
    )
    algorithm = config.build_algo()
    try:
        for _ in range(2):
            assert_finite(algorithm.train()["learners"]["a"], LOSSES)
        batch = algorithm.replay_buffer.sample(["a"], 50)["a"]
    finally:
        algorithm.stop()
    for name in ("obs", "new_obs"):
        assert np.abs(batch[name]).max() < 10
        assert batch[name].std() == pytest.approx(1.0, abs=0.4)
