"""Images pass convolutions wherever in an observation they are; targets see through their own."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Tuple
from torch import nn

from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM, TargetNetworks
from rommeo_rllib.joint_action.modules.image_encoder import ImageEncoder, has_images
from rommeo_rllib.joint_action.modules.policy import INIT_KEY, OPPONENTS
from rommeo_rllib.joint_action.modules.stacking import is_stackable
from rommeo_rllib.joint_action.spaces.agents import Opponents
from rommeo_rllib.joint_action.spaces.encoding import encode_observations, observation_size
from rommeo_rllib.joint_action.spaces.packing import pack
from rommeo_rllib.joint_action.stochastic import INITIAL_ALPHA
from rommeo_rllib.registration import ALGORITHMS
from rommeo_rllib.rommeo_ac.policy import ROMMEOPolicy

SMALL = Box(0, 255, (6, 5, 3), np.uint8)
FLOATS = Box(-1.0, 1.0, (6, 6, 1), np.float32)
USUAL = Box(0.0, 1.0, (10, 10, 2), np.float32)
LINE = Box(-1.0, 1.0, (4,), np.float32)
MOVE = Box(-1.0, 1.0, (1,), np.float32)
FILTERS = {"conv_filters": [[4, 3, 2]]}


@pytest.mark.parametrize(
    ("space", "model", "expected"),
    [
        (SMALL, {}, True),
        (FLOATS, {}, False),
        (FLOATS, FILTERS, True),
        (USUAL, {}, True),
        (Box(0.0, 1.0, (84, 84, 4), np.float32), {}, True),
        (LINE, FILTERS, False),
        (Box(0, 255, (6, 5), np.uint8), FILTERS, False),
        (Box(0, 255, (6,), np.uint8), FILTERS, False),
        (Discrete(3), FILTERS, False),
        (Dict({"a": LINE, "b": Discrete(2)}), FILTERS, False),
        (Dict({"a": LINE, "b": SMALL}), {}, True),
        (Tuple((LINE, Dict({"x": Tuple((FLOATS,))}))), FILTERS, True),
        (Tuple((LINE, Dict({"x": Tuple((FLOATS,))}))), {}, False),
    ],
)
def test_what_passes_convolutions(space, model, expected):
    assert has_images(space, model) == expected


NESTED = Dict(
    {"z": SMALL, "a": Tuple((Discrete(3), FLOATS)), "m": LINE, "bits": MultiBinary(2), "b": SMALL}
)


def test_each_image_has_convolutions_of_its_own_and_all_else_goes_through():
    torch.manual_seed(0)
    encoder = ImageEncoder(NESTED, FILTERS)
    assert len(encoder.convolutions) == 3
    seen = torch.stack([torch.from_numpy(pack(NESTED.sample())) for _ in range(4)])
    flat = encode_observations(NESTED, seen)
    found = encoder(flat)
    # In the order of sorted keys: a[0], a[1], b, bits, m, z.
    parts = flat.split([3, 36, 90, 2, 4, 90], dim=-1)
    one, other = (
        encoder.convolutions[n]({"obs": parts[i].unflatten(-1, SMALL.shape)})["encoder_out"]
        for n, i in (("2", 2), ("5", 5))
    )
    floats = encoder.convolutions["1"]({"obs": parts[1].unflatten(-1, FLOATS.shape)})
    expected = [parts[0], floats["encoder_out"], one, parts[3], parts[4], other]
    torch.testing.assert_close(found, torch.cat(expected, -1))
    vectors = [nn.utils.parameters_to_vector(encoder.convolutions[n].parameters()) for n in "25"]
    assert not torch.equal(*vectors)
    # Bytes are scaled to [0, 1], floats are as they are.
    assert parts[2].max() <= 1.0
    assert parts[1].min() < 0.0


@pytest.mark.parametrize(
    ("space", "model", "message"),
    [
        (
            SMALL,
            {},
            r"The image observation has the size \(6, 5, 3\), .* give some, .*conv_filters",
        ),
        (
            Dict({"eye": Tuple((LINE, SMALL))}),
            {},
            r"observation\['eye'\]\[1\] has the size \(6, 5, 3\)",
        ),
        (Dict({"eye": SMALL}), {"conv_filters": [[4, 3]]}, r"observation\['eye'\] .*\[\[4, 3\]\]"),
        (SMALL, {"conv_filters": [[4, 3, 0]]}, r"`conv_filters` \[\[4, 3, 0\]\] do not work"),
        (SMALL, {"conv_filters": "many"}, r"`conv_filters` 'many' do not work"),
    ],
)
def test_an_image_that_no_filters_fit_is_named(space, model, message):
    with pytest.raises(ValueError, match=message):
        ImageEncoder(space, model)


def make_policy(algorithm: str, space: gym.Space, policy_class: Any = None, **more: Any) -> Any:
    spec = ALGORITHMS[algorithm].get_default_config().get_default_rl_module_spec()
    return (policy_class or spec.module_class)(
        observation_space=space,
        action_space=MOVE,
        inference_only=more.pop("inference_only", False),
        model_config={
            OPPONENTS: Opponents((MOVE, MOVE), (space, LINE), ("b", "c")),
            INIT_KEY: (0, 0),
            "fcnet_hiddens": [8],
            "fcnet_activation": "tanh",
            Q_LAYER_NORM: True,
            INITIAL_ALPHA: 1.0,
            "initial_noise": 0.1,
            **FILTERS,
            **more,
        },
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_packed_and_nested_observations_are_encoded_alike(algorithm):
    policy = make_policy(algorithm, NESTED)
    seen = [NESTED.sample() for _ in range(4)]
    packed = torch.stack([torch.from_numpy(pack(one)) for one in seen])
    nested = {
        "z": torch.stack([torch.from_numpy(one["z"]) for one in seen]),
        "b": torch.stack([torch.from_numpy(one["b"]) for one in seen]),
        "m": torch.stack([torch.from_numpy(one["m"]) for one in seen]),
        "bits": torch.stack([torch.from_numpy(one["bits"]) for one in seen]),
        "a": (
            torch.tensor([int(one["a"][0]) for one in seen]),
            torch.stack([torch.from_numpy(one["a"][1]) for one in seen]),
        ),
    }
    with torch.no_grad():
        found = policy.encode(packed)
        assert found.shape == (4, policy.observation_size)
        torch.testing.assert_close(policy.encode(nested), found)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_target_networks_see_does_not_change_with_the_encoder(algorithm):
    policy = make_policy(algorithm, NESTED)
    seen = torch.stack([torch.from_numpy(pack(NESTED.sample())) for _ in range(4)])
    with torch.no_grad():
        before = policy.encode_for_target(seen)
        torch.testing.assert_close(before, policy.encode(seen))
        for parameter in policy.encoder.parameters():
            parameter += 1.0
        assert not torch.allclose(policy.encode(seen), before)
        torch.testing.assert_close(policy.encode_for_target(seen), before)
        pairs = dict(policy.critic.followed)
        TargetNetworks(policy.critic.followed).follow(1.0)
        torch.testing.assert_close(policy.encode_for_target(seen), policy.encode(seen))
    assert pairs[policy.encoder] is policy.target_encoder
    assert not any(parameter.requires_grad for parameter in policy.target_encoder.parameters())
    # Its loss trains the encoder, not the target.
    trained = {id(parameter) for parameter in policy.critic.trained}
    assert trained.issuperset(map(id, policy.encoder.parameters()))
    assert trained.isdisjoint(map(id, policy.target_encoder.parameters()))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_env_runners_have_no_target_encoder(algorithm):
    policy = make_policy(algorithm, NESTED, inference_only=True)
    assert policy.encoder is not None
    assert not any("target_encoder" in name for name in policy.state_dict())
    full = make_policy(algorithm, NESTED)
    policy.set_state(full.get_state(inference_only=True))
    assert not any(name.startswith("target") for name in full.get_state(inference_only=True))


def test_maddpgs_critic_sees_its_opponents_images_through_convolutions():
    policy = make_policy("MADDPG", NESTED)
    assert len(policy.opponent_encoder.convolutions) == 3
    features = policy.opponent_encoder(torch.zeros(1, observation_size(NESTED, "One") + 4)).shape[
        -1
    ]
    seen = [
        torch.stack([torch.from_numpy(pack(s.sample())) for _ in range(4)]) for s in (NESTED, LINE)
    ]
    own = policy.encode(seen[0]).detach()
    joint = policy.joint_observations(own, seen, torch.ones(4, 2))
    assert joint.shape == (4, policy.observation_size + features)
    joint.sum().backward()
    assert all(p.grad is not None for p in policy.opponent_encoder.parameters())
    # The target is another one.
    with torch.no_grad():
        before = policy.joint_observations(own, seen, torch.ones(4, 2), target=True)
        for parameter in policy.opponent_encoder.parameters():
            parameter += 1.0
        after = policy.joint_observations(own, seen, torch.ones(4, 2), target=True)
    torch.testing.assert_close(before, after)
    trained = {id(parameter) for parameter in policy.critic.trained}
    assert trained.issuperset(map(id, policy.opponent_encoder.parameters()))
    # Who is absent is not seen.
    with torch.no_grad():
        alone = policy.joint_observations(own, seen, torch.zeros(4, 2))
        torch.testing.assert_close(
            alone[:, own.shape[-1] :], alone[:1, own.shape[-1] :].expand(4, -1)
        )


class Moving(nn.Module):
    """Counts what it has seen in a buffer that it replaces each time."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen = self.seen + len(inputs)
        return inputs


class Stateful(ROMMEOPolicy):
    """With an encoder that has a state, and layers that training mode concerns."""

    def build_encoder(self) -> nn.Module:
        line = nn.Linear(self.observation_size, 3)
        layers = (line, Moving(), nn.BatchNorm1d(3), nn.Tanh(), nn.Linear(3, 3), nn.Dropout(0.5))
        # The same layer twice: its parameters are one.
        return nn.Sequential(*layers, layers[4])


def test_an_encoder_learns_in_training_mode_and_else_keeps_its_state():
    torch.manual_seed(0)
    policy = make_policy("ROMMEO-AC", LINE, Stateful)
    encoder, target = policy.encoder, policy.target_encoder
    assert encoder[1].seen == 0
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    seen = torch.randn(20, 4)
    with torch.no_grad():
        one, other = policy.encode(seen), policy.encode(seen)
        policy.encode(seen[:1])
        policy.forward_exploration({"obs": seen})
    torch.testing.assert_close(one, other)
    for name, value in encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    policy.encode(seen)
    assert encoder[1].seen == 20
    assert encoder[2].running_mean.abs().sum() > 0
    assert encoder[5].training
    torch.testing.assert_close(policy.encode_for_target(seen), one)
    # Parameters follow slowly, a state at once.
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 1.0
    start = [parameter.clone() for parameter in target.parameters()]
    TargetNetworks(policy.critic.followed).follow(0.1)
    assert target[1].seen == 20
    torch.testing.assert_close(target[2].running_mean, encoder[2].running_mean)
    for old, new, latest in zip(start, target.parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(new, (old + 0.1 * (latest - old)).detach())


class Frozen(Stateful):
    """The same, trained before."""

    def build_encoder(self) -> nn.Module:
        return super().build_encoder().requires_grad_(False)


def test_a_frozen_encoder_keeps_its_state_too():
    policy = make_policy("ROMMEO-AC", LINE, Frozen)
    before = {name: value.clone() for name, value in policy.encoder.state_dict().items()}
    policy.encode(torch.randn(20, 4))
    for name, value in policy.encoder.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


class OfOurLayers(ROMMEOPolicy):
    """With an encoder of layers that could be stacked."""

    def build_encoder(self) -> nn.Module:
        return self.build_network(self.observation_size, 5)


def test_policies_with_encoders_are_computed_one_by_one():
    assert not is_stackable(make_policy("ROMMEO-AC", LINE, OfOurLayers))
    assert is_stackable(make_policy("ROMMEO-AC", LINE))


class Scaled(nn.Module):
    """Has a whole number as a parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(2), requires_grad=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * self.factor


@pytest.mark.parametrize(
    "build",
    [
        lambda size: nn.utils.parametrizations.weight_norm(nn.Linear(size, 3)),
        lambda size: nn.utils.parametrizations.spectral_norm(nn.Linear(size, 3)),
        lambda size: nn.LazyLinear(3),
        lambda size: torch.jit.script(nn.Linear(size, 3)),
        lambda size: nn.Sequential(nn.Linear(size, 3), Scaled()),
        lambda size: nn.Identity(),
    ],
    ids=["weight norm", "spectral norm", "lazy", "scripted", "whole number", "no parameters"],
)
def test_encoders_of_all_kinds_have_targets(build):
    build_encoder = {"build_encoder": lambda self: build(self.observation_size)}
    policy = make_policy("ROMMEO-AC", LINE, type("Encoding", (ROMMEOPolicy,), build_encoder))
    seen = torch.randn(6, 4)
    with torch.no_grad():
        torch.testing.assert_close(policy.encode_for_target(seen), policy.encode(seen))
        for parameter in policy.encoder.parameters():
            if parameter.is_floating_point():
                parameter += 0.5
        assert policy.encoder(seen).shape[-1] == policy.observation_size
    TargetNetworks(policy.critic.followed).follow(1.0)
    with torch.no_grad():
        torch.testing.assert_close(policy.encode_for_target(seen), policy.encode(seen))
