"""A critic of one Q-network or two: what they say together, and what each of them learns."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from rommeo_rllib import ROMMEOACConfig
from rommeo_rllib.components import ActionComponent
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM, TWIN_Q, Critic, TargetNetworks
from rommeo_rllib.joint_action.modules.networks import mlp

ROWS, OBSERVED, OWN, OTHERS = 5, 2, 3, 4


def make_critic(twin_q: bool | str, kind: str = "discrete", **settings: Any) -> Critic:
    torch.manual_seed(0)

    def build(inputs: int, outputs: int, *, layer_norm: bool) -> nn.Module:
        return mlp(inputs, [8], outputs, "tanh", layer_norm=layer_norm)

    config = {Q_LAYER_NORM: False, TWIN_Q: twin_q}
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
