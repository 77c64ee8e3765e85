"""A critic of one Q-network or two: what they say together, and what each of them learns."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.components import ActionComponent
from rommeo_rllib.joint_action.modules.critic import (
    NORMALISE_Q,
    Q_LAYER_NORM,
    TWIN_Q,
    Critic,
    TargetNetworks,
)
from rommeo_rllib.joint_action.modules.networks import mlp

ROWS, OBSERVED, OWN, OTHERS = 5, 2, 3, 4


def make_critic(twin_q: bool | str, kind: str = "discrete", **settings: Any) -> Critic:
    torch.manual_seed(0)

    def build(inputs: int, outputs: int, *, layer_norm: bool) -> nn.Module:
        return mlp(inputs, [8], outputs, "tanh", layer_norm=layer_norm)

    config = {Q_LAYER_NORM: False, TWIN_Q: twin_q, NORMALISE_Q: settings.pop("normalise_q", False)}
    own = [ActionComponent(kind, OWN)]
    return Critic(OBSERVED, own, OTHERS, build, settings.pop("encoders", {}), config, **settings)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    own = torch.eye(OWN)[torch.tensor([0, 1, 2, 1, 0])]
    return (
        torch.rand(ROWS, OBSERVED, generator=generator),
        own,
        torch.rand(ROWS, OTHERS, generator=generator),
    )


def alone(critic: Critic, number: int, *, target: bool = False) -> Critic:
    """A critic with one of another's networks."""
    one = copy.deepcopy(critic)
    one._twin = False
    one.networks = nn.ModuleList([one.networks[number]])
    one.target_networks = nn.ModuleList([one.target_networks[number]])
    return one


@pytest.mark.parametrize("kind", ["discrete", "continuous"])
@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize(
    ("choice", "together"),
    [
        (True, torch.minimum),
        ("minimum", torch.minimum),
        ("mean", lambda one, other: (one + other) / 2),
    ],
)
def test_two_networks_say_the_smaller_value_or_the_mean(choice, together, target, kind):
    critic = make_critic(choice, kind)
    # Otherwise the targets are equal to their networks.
    for parameter in critic.target_networks.parameters():
        parameter.data.mul_(0.5)
    given = inputs()
    one, other = (alone(critic, number)(*given, target=target) for number in (0, 1))
    assert not torch.equal(one, other)
    torch.testing.assert_close(critic(*given, target=target), together(one, other))


def test_of_all_own_actions_each_has_its_own_smaller_value():
    critic = make_critic(True)
    observations, own, others = inputs()
    every = critic(observations, None, others)
    assert every.shape == (ROWS, OWN)
    done = critic(observations, own, others)
    torch.testing.assert_close((every * own).sum(-1), done)


def test_each_of_two_networks_learns_as_it_would_alone():
    critic = make_critic(True)
    given, wanted = inputs(), torch.arange(5.0)
    critic.losses(*given, wanted).mean().backward()
    for number in (0, 1):
        one = alone(critic, number)
        for parameter in one.parameters():
            parameter.grad = None
        one.losses(*given, wanted).mean().backward()
        pairs = zip(critic.networks[number].parameters(), one.networks.parameters(), strict=True)
        for together, separate in pairs:
            torch.testing.assert_close(together.grad, separate.grad)


def test_the_first_network_does_not_depend_on_there_being_a_second():
    one, two = make_critic(False), make_critic(True)
    for ours, theirs in zip(one.networks.parameters(), two.networks[0].parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_within_frozen_the_loss_reaches_inputs_only():
    critic = make_critic(True)
    observations, own, others = inputs()
    others.requires_grad_()
    with critic.frozen():
        critic(observations, own, others).sum().backward()
    assert others.grad is not None
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_targets_follow_networks_and_encoders_that_the_loss_trains():
    encoder = nn.Linear(OBSERVED, OBSERVED)
    critic = make_critic(True, encoders={"encoder": encoder})
    assert {id(p) for p in encoder.parameters()} < {id(p) for p in critic.trained}
    # The encoder is the policy's, and is stored with it.
    assert not any(name.startswith("_encoders") for name in critic.state_dict())
    for parameter in critic.trained:
        parameter.data.add_(1.0)
    TargetNetworks(critic.followed).follow(1.0)
    for one, target in critic.followed:
        for ours, theirs in zip(one.parameters(), target.parameters(), strict=True):
            torch.testing.assert_close(ours, theirs)
            assert not theirs.requires_grad


def test_for_inference_there_are_no_targets():
    critic = make_critic(True, inference_only=True)
    assert not any("target" in name for name in critic.state_dict())


@pytest.mark.parametrize("wrong", ["min", 2, None, "True"])
def test_any_other_choice_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`twin_q` is .*allowed: .*'minimum'"):
        ROMMEOACConfig().training(twin_q=wrong).check_values()


def scaled_critic(twin_q: bool | str = False, kind: str = "discrete") -> Critic:
    critic = make_critic(twin_q, kind, normalise_q=True)
    with torch.no_grad():
        for parameter in critic.parameters():
            if parameter is not critic.scale.statistics:
                parameter.uniform_(-1.0, 1.0)
    return critic


def take_up(critic: Critic, *batches: torch.Tensor) -> torch.Tensor:
    for batch in batches:
        scaled = critic.scaled(batch, torch.tensor(float(len(batch))), lambda tensor: tensor)
    return scaled


def test_targets_are_scaled_by_mean_and_deviation_of_all_so_far():
    critic = scaled_critic()
    batches = [torch.randn(50) * 30.0 + 1000.0, torch.randn(50) * 90.0 - 2000.0]
    scaled = take_up(critic, *batches)
    every = torch.cat(batches)
    expected = (batches[-1] - every.mean()) / every.std(correction=0)
    torch.testing.assert_close(scaled, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("twin_q", [False, "mean"])
@pytest.mark.parametrize("target", [False, True])
@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_what_a_critic_stands_for_outlives_another_scale(twin_q, target, kind):
    critic = scaled_critic(twin_q, kind)
    take_up(critic, torch.tensor([-1.0, 1.0]))
    before = critic.in_reward_units(critic(*inputs(), target=target))
    take_up(critic, torch.tensor([400.0, 700.0]))
    assert critic.scale.std > 100.0
    after = critic.in_reward_units(critic(*inputs(), target=target))
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)


def test_equal_targets_have_no_scale_yet():
    critic = scaled_critic()
    scaled = take_up(critic, torch.full((7,), 0.1), torch.full((7,), 0.1))
    assert not scaled.any()
    assert critic.scale.std == 1.0
    before = critic(*inputs())
    # The first reward: what has been learned of none is not taken for something in its unit.
    take_up(critic, torch.tensor([0.1, 0.1, 0.1 + 1e-4]))
    torch.testing.assert_close(critic(*inputs()), before)
    assert critic.scale.std < 1e-3


def test_a_new_critic_of_scaled_targets_says_nothing():
    assert not make_critic("mean", normalise_q=True)(*inputs()).any()


def test_the_scale_forgets_targets_of_long_ago():
    critic = scaled_critic()
    take_up(critic, torch.randn(50) * 1000.0, *[torch.randn(50)] * 3000)
    assert critic.scale.std == pytest.approx(1.0, rel=0.3)


def test_a_policy_without_targets_keeps_its_scale():
    critic = scaled_critic()
    take_up(critic, torch.tensor([3.0, 5.0]))
    before = critic.scale.statistics.clone()
    critic.scaled(torch.tensor([30.0, 50.0]), torch.tensor(0.0), lambda tensor: tensor)
    torch.testing.assert_close(critic.scale.statistics, before)


def test_scaled_targets_need_a_last_layer_that_can_be_scaled():
    def build(inputs: int, outputs: int, *, layer_norm: bool) -> nn.Module:
        return nn.Sequential(nn.Linear(inputs, outputs), nn.Tanh())

    config = {Q_LAYER_NORM: False, TWIN_Q: False, NORMALISE_Q: True}
    with pytest.raises(ValueError, match=r"`normalise_q` is True.*ends in Tanh.*allowed"):
        Critic(OBSERVED, [ActionComponent("discrete", OWN)], OTHERS, build, {}, config)
