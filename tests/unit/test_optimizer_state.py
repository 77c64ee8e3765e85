"""What optimizers remember goes along with policies, however these are grouped."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rommeo_rllib.joint_action.modules.optimizer_state import POLICIES, network_states, take_up


def optimizer_of(policies: list[str], *names: str) -> torch.optim.Optimizer:
    """One group of policies, whose networks have a matrix and a number each."""
    leading = (len(policies),) if len(policies) > 1 else ()
    groups = [
        {
            "params": [
                nn.Parameter(torch.zeros(*leading, 2, 3)),
                nn.Parameter(torch.zeros(leading)),
            ],
            "name": name,
            POLICIES: policies,
        }
        for name in names
    ]
    return torch.optim.Adam(groups, fused=True)


def take_steps(optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.randn_like(parameter)
        optimizer.step()


def stored(**optimizers: torch.optim.Optimizer) -> dict:
    return {name: {"state": optimizer.state_dict()} for name, optimizer in optimizers.items()}


def test_states_go_along_with_policies_that_are_grouped_otherwise():
    together, alone = optimizer_of(["a", "b"], "q", "alpha"), optimizer_of(["c"], "q")
    take_steps(together, 3)
    take_steps(alone, 5)
    before = network_states(stored(one=together, other=alone))
    b, rest = optimizer_of(["b"], "q"), optimizer_of(["c", "a", "new"], "q", "alpha")
    take_steps(b, 1)
    take_up(b, before)
    take_up(rest, before)
    after = network_states(stored(b=b, rest=rest))
    for policy in "abc":
        for was, now in zip(before[policy, "q"], after[policy, "q"], strict=True):
            for moment in ("exp_avg", "exp_avg_sq"):
                torch.testing.assert_close(was[moment], now[moment], rtol=0, atol=0)
                assert was[moment].abs().sum() > 0
    assert [state["step"].item() for state in after["b", "q"]] == [3, 3]
    # Who is computed together counts steps together; who is new has no moments.
    assert [state["step"].item() for state in after["new", "q"]] == [5, 5]
    for policy, name in (("new", "q"), ("new", "alpha"), ("c", "alpha")):
        assert not any(state["exp_avg"].any() for state in after[policy, name])
    take_steps(rest, 1)


def test_a_network_of_which_nothing_is_stored_begins_afresh():
    before = optimizer_of(["a"], "q")
    take_steps(before, 2)
    after = optimizer_of(["a"], "q", "alpha")
    take_steps(after, 4)
    take_up(after, network_states(stored(a=before)))
    found = network_states(stored(a=after))
    assert found["a", "alpha"] == [None, None]
    assert found["a", "q"][0]["step"] == 2


def test_a_state_that_does_not_say_whose_it_is_is_refused():
    old = optimizer_of(["a"], "q").state_dict()
    del old["param_groups"][0][POLICIES]
    with pytest.raises(ValueError, match="does not say which policies it trains"):
        network_states({"a": {"state": old}})
