"""What the Q-function converges to where that is known: reward 1 a step, gamma 0.9."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from representative import cases
from small import paid_per_step_config, policy_of

pytestmark = pytest.mark.usefixtures("ray_session")


def q_values(length: int, ending: str, **training: Any) -> torch.Tensor:
    """Q of each observation, over all joint actions: (observations, own, opponents)."""
    algorithm = paid_per_step_config(length, ending).training(**training).build_algo()
    try:
        algorithm.train()
        policy = policy_of(algorithm, "shared")
        observations = policy.encode(torch.arange(policy.observation_space.n))
        with torch.no_grad():
            columns = [
                policy.critic(observations, None, opponent.expand(len(observations), 2))
                for opponent in torch.eye(2)
            ]
        return torch.stack(columns, dim=-1)
    finally:
        algorithm.stop()


WAYS: list[dict[str, Any]] = [{}, {"n_step": 3}, {"n_step": (1, 4)}]


@pytest.mark.parametrize("training", cases(WAYS, [{}, {"n_step": (1, 4)}]), ids=str)
@pytest.mark.parametrize("length", cases([1, 5], [5]))
def test_a_time_limit_does_not_cut_the_return(length, training):
    q = q_values(length, "truncated", **training)
    torch.testing.assert_close(q, torch.full((1, 2, 2), 10.0), atol=0.3, rtol=0)


@pytest.mark.parametrize("training", cases(WAYS, [{}, {"n_step": (1, 4)}]), ids=str)
@pytest.mark.parametrize("length", cases([1, 4], [4]))
def test_a_termination_cuts_the_return(length, training):
    q = q_values(length, "terminated", **training)
    left = torch.arange(length, 0, -1)
    returns = (1 - 0.9**left) / (1 - 0.9)
    torch.testing.assert_close(
        q[:length], returns[:, None, None].expand(length, 2, 2), atol=0.1, rtol=0
    )
