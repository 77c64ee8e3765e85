"""Clipping gradients of any shape and layout, and modules in evaluation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from rommeo_rllib.joint_action.modules.gradients import clipped, evaluated

WAYS = ["value", "norm", "global_norm"]
POLICIES = 3


def gradients_of_all_layouts() -> list[Tensor]:
    """Stacked gradients with an axis of policies, each of a scale of its own."""
    torch.manual_seed(0)
    scale = torch.tensor([0.01, 1.0, 100.0])
    shared = torch.randn(POLICIES, 5) * scale[:, None]
    return [
        torch.randn(POLICIES) * scale,  # Of a learned alpha.
        torch.randn(POLICIES, 4, 2) * scale[:, None, None],
        (torch.randn(2, 4, POLICIES) * scale).permute(2, 1, 0),
        torch.randn(POLICIES, 8, 3, 3, 2).permute(0, 4, 1, 2, 3) * scale.view(-1, 1, 1, 1, 1),
        (torch.randn(POLICIES, 1) * scale[:, None]).expand(POLICIES, 6),
        torch.randn(POLICIES, 7)[:, ::2] * scale[:, None],
        torch.zeros(POLICIES, 0),
        shared,
        shared,  # As autograd gives one tensor to both terms of a sum.
    ]


def clipped_by_torch(gradients: list[Tensor], limit: float, by: str) -> list[Tensor]:
    parameters = [nn.Parameter(torch.zeros_like(g).contiguous()) for g in gradients]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient.clone(memory_format=torch.contiguous_format)
    if by == "value":
        nn.utils.clip_grad_value_(parameters, limit)
    else:
        parts = [parameters] if by == "global_norm" else [[p] for p in parameters]
        for part in parts:
            nn.utils.clip_grad_norm_(part, limit)
    return [parameter.grad for parameter in parameters]


@pytest.mark.parametrize("by", WAYS)
@pytest.mark.parametrize("limit", [0.5, 20.0, 1e6])
def test_each_policys_gradients_are_clipped_as_torch_clips_them(by, limit):
    stacked = gradients_of_all_layouts()
    before = [gradient.clone() for gradient in stacked]
    found = clipped(stacked, limit, by, stacked=True)
    for policy in range(POLICIES):
        own = [gradient[policy] for gradient in before]
        expected = clipped_by_torch(own, limit, by)
        for gradient, wanted in zip(found, expected, strict=True):
            torch.testing.assert_close(gradient[policy], wanted)
        # A policy computed alone gets the same.
        for gradient, wanted in zip(clipped(own, limit, by), expected, strict=True):
            torch.testing.assert_close(gradient, wanted)
    torch.testing.assert_close(stacked, before)


def test_gradients_are_scaled_by_the_norm_of_all_of_them_together():
    gradients = [torch.tensor([3.0, 0.0]), torch.tensor(4.0)]
    torch.testing.assert_close(
        clipped(gradients, 1.0, "global_norm"), [torch.tensor([0.6, 0.0]), torch.tensor(0.8)]
    )
    torch.testing.assert_close(
        clipped(gradients, 3.5, "norm"), [torch.tensor([3.0, 0.0]), torch.tensor(3.5)]
    )
    torch.testing.assert_close(
        clipped(gradients, 2.0, "value"), [torch.tensor([2.0, 0.0]), torch.tensor(2.0)]
    )


def test_a_module_in_evaluation_keeps_its_state_and_goes_back_to_its_mode():
    frozen_norm = nn.BatchNorm1d(2).eval()
    network = nn.Sequential(nn.BatchNorm1d(2), frozen_norm, nn.Dropout(0.5))
    state = {name: value.clone() for name, value in network.state_dict().items()}
    with evaluated(network):
        network(torch.full((1, 2), 7.0))
    for name, value in network.state_dict().items():
        assert torch.equal(value, state[name])
    assert [module.training for module in network] == [True, False, True]
