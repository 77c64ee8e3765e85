"""What an algorithm's losses are computed from, and what it trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns as RLlibColumns
from torch import Tensor, nn

from rommeo_rllib import objective
from rommeo_rllib.joint_action.modules.central import OpponentPolicies
from rommeo_rllib.joint_action.modules.joint_q import JointQPolicy
from rommeo_rllib.joint_action.replay.columns import DISCOUNTS, WEIGHTS
from rommeo_rllib.rng import Rng
from rommeo_rllib.schedules import ScheduleSpec, make_schedule

# Names of what several algorithms report.
Q_LOSS = "q_loss"
POLICY_LOSS = "policy_loss"
OPPONENT_MODEL_LOSS = "opponent_model_loss"
OPPONENT_MODEL_MEAN = "opponent_model_mean"
POLICY_MEAN = "policy_mean"
MARGINAL_POLICY_MEAN = "marginal_policy_mean"
POLICY_ENTROPY = "policy_entropy"
ALPHA = "alpha"

Columns = dict[str, Tensor]

Parse: TypeAlias = Callable[[Any, str], Any]

_schedule = partial(make_schedule, allow_zero=True)

Losses = dict[str, Tensor]
"""Losses by name; one number a policy, () or, stacked, (policies,). Their sum is minimised."""

Metrics = dict[str, Tensor]
"""Metrics by name, of the same shapes."""


@dataclass(frozen=True)
class TrainedParameters:
    """Parameters that are trained, and clipped, together, and how fast."""

    parameters: Sequence[nn.Parameter]
    lr: ScheduleSpec


class ParsedOptions:
    """What options of configurations describe, parsed when they are first asked for.

    A learner has one, since its configurations do not change.
    """

    def __init__(self) -> None:
        # With the configuration, so that no other one gets its id.
        self._made: dict[tuple[int, str, Parse], tuple[AlgorithmConfig, Any]] = {}

    def of(self, config: AlgorithmConfig, name: str, parse: Parse) -> Any:
        """What `parse` makes of the option's value and its name."""
        key = id(config), name, parse
        if key not in self._made:
            self._made[key] = config, parse(getattr(config, name), name)
        return self._made[key][1]


@dataclass(frozen=True)
class Update:
    """What a subclass computes losses from: policies of equal shape on their batches.

    Attributes:
        policy: the networks; stacked ones compute for all policies of the group.
        configs: the configuration of each policy. They differ in schedules at most.
        columns: those of `JointReplayBuffer.sample`, (B, ...) or, stacked, (policies, B, ...).
            Where all rows went to other learners there are none.
        env_steps: the clock of all schedules, env steps sampled so far.
        rng: random numbers, of a stream for each policy.
        stacked: whether there is an axis of policies.
        opponents: the door to the opponents' own policies, where training is central.
        parsed: what the configurations' options describe.
        td_errors: takes up how wrong Q was in each row, (B,), if rows have weights.
        rows: how many rows here are each policy's own, B or, of one that goes along on another's
            batch, 0: () or (policies,).
        total: the sum of a tensor over all learners.
        wanting: takes up how much more of a weight is wanted, by its name, see `temperatures`.
    """

    policy: JointQPolicy
    configs: Sequence[AlgorithmConfig]
    columns: Columns
    env_steps: int
    rng: Rng
    stacked: bool
    opponents: OpponentPolicies | None = None
    parsed: ParsedOptions = field(default_factory=ParsedOptions)
    td_errors: list[Tensor] = field(default_factory=list)
    rows: Tensor = field(default_factory=lambda: torch.tensor(1.0))
    total: Callable[[Tensor], Tensor] = lambda tensor: tensor
    wanting: dict[str, Tensor] = field(default_factory=dict)

    def scheduled(self, name: str, parse: Parse = _schedule) -> Tensor:
        """The present value of a scheduled option of each policy, () or (policies,).

        Args:
            name: the option.
            parse: makes a schedule of its value and its name.
        """
        # Most policies share one configuration object.
        distinct = {id(config): config for config in self.configs}
        present = {
            key: self.parsed.of(config, name, parse).value(self.env_steps)
            for key, config in distinct.items()
        }
        values = [present[id(config)] for config in self.configs]
        column = next(iter(self.columns.values()), None)
        device = None if column is None else column.device
        return torch.tensor(values if self.stacked else values[0], device=device)

    def scheduled_for_rows(self, name: str) -> Tensor:
        """The same, to go with rows: (1,) or (policies, 1)."""
        return self.scheduled(name).unsqueeze(-1)

    def td_target(self, next_value: Callable[[], Tensor]) -> Tensor:
        """What Q is to be, (B,): the reward and, discounted, the next state's value.

        Where targets are scaled, the scale takes them up: what follows speaks in its new units.

        Args:
            next_value: makes that value, in the critic's units, (B,); not called where nothing
                counts but the reward.

        Returns:
            In the critic's units.
        """
        critic = self.policy.critic
        target = rewards = self.columns[RLlibColumns.REWARDS]
        if self.configs[0].gamma != 0.0:
            with torch.no_grad():
                value = critic.in_reward_units(next_value())
            terminated, discounts = self.columns[RLlibColumns.TERMINATEDS], self.columns[DISCOUNTS]
            target = objective.td_target(rewards, terminated, value, discounts)
        return critic.scaled(target, self.rows, self.total)

    def q_loss(
        self, observations: Tensor, own_actions: Tensor, opponent_actions: Tensor, targets: Tensor
    ) -> Tensor:
        """The critic's loss, (), weighted where rows have weights; arguments are the critic's.

        Rows that have weights are told their TD errors afterwards, see `td_errors`.
        """
        losses = self.policy.critic.losses(observations, own_actions, opponent_actions, targets)
        if WEIGHTS not in self.columns:
            return losses.mean(-1)
        # The root of the squared Bellman error, of two networks of the sum of both.
        self.td_errors.append((2.0 * losses.detach()).sqrt())
        return (self.columns[WEIGHTS] * losses).mean(-1)


def opponent_model_parameters(policy: Any, config: Any) -> dict[str, TrainedParameters]:
    """The opponent model's network, of algorithms that have one."""
    parameters = list(policy.opponent_model_network.parameters())
    return {"opponent_model": TrainedParameters(parameters, config.opponent_model_lr)}


def mean_per_dimension(name: str, actions: Tensor) -> Metrics:
    """The mean over rows of each dimension k, as "name_k": (..., B, dimensions) -> (...) each."""
    return {f"{name}_{index}": mean for index, mean in enumerate(actions.mean(-2).unbind(-1))}
