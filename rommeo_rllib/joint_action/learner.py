"""The learner that all algorithms here share: from joint batches to updated networks.

RLlib's own learner passes episodes through connectors, makes each module's losses in turn and turns
every metric into a number at each update. Here a batch comes in ready, policies of equal shape are
computed together, the losses of all are summed up for one backward pass, and metrics stay tensors
until they are asked for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_MODULE_STEPS_TRAINED,
    NUM_MODULE_STEPS_TRAINED_LIFETIME,
)
from torch import Tensor, nn

from rommeo_rllib.joint_action.grouped_learner import GroupedLearner
from rommeo_rllib.joint_action.modules.central import OpponentPolicies, opponent_ids
from rommeo_rllib.joint_action.modules.critic import TargetNetworks
from rommeo_rllib.joint_action.modules.gradients import clipped, parameters_of, tensors_of
from rommeo_rllib.joint_action.modules.joint_q import JointQPolicy
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup, kept_as_is
from rommeo_rllib.joint_action.replay.columns import INDICES
from rommeo_rllib.joint_action.spaces.replicas import REPLICAS, ReplicaBatches, split_id
from rommeo_rllib.joint_action.update import (
    Losses,
    Metrics,
    ParsedOptions,
    TrainedParameters,
    Update,
)
from rommeo_rllib.rllib_boundary.running import count_update
from rommeo_rllib.rng import PolicyRng


def _num_rows(columns: Mapping[str, Any]) -> int:
    return len(next(iter(columns.values()), ()))


def _means(several: Sequence[Mapping[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """The mean of each number that the latest names."""
    for name in several[-1] if several else ():
        yield name, torch.stack([values[name] for values in several]).mean(0)


class JointActionLearner(GroupedLearner):
    """Owns the optimizer, target networks and the clock; a subclass supplies losses."""

    # What a subclass supplies.

    def losses(self, update: Update) -> Losses:
        """Losses, each with gradients for its own networks only."""
        raise NotImplementedError

    def trained_parameters(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, TrainedParameters]:
        """The critic and the policy's network."""
        agent: Any = policy
        return {
            "q": TrainedParameters(agent.critic.trained, config.q_lr),
            "policy": TrainedParameters(list(agent.policy_network.parameters()), config.policy_lr),
        }

    def policy_metrics(self, update: Update) -> Metrics:
        """What is worth reporting beside the losses.

        Called for a report's last batch only or, with `average_metrics`, for each.
        """
        return {}

    def target_networks(self, policy: JointActionPolicy) -> list[tuple[nn.Module, nn.Module]]:
        """Pairs of (network, its target), which follows it by Polyak averaging: the critic's."""
        return policy.critic.followed if isinstance(policy, JointQPolicy) else []

    def after_update(self, update: Update) -> None:
        """What else changes with the clock after a gradient step of a group of policies."""

    # Building.

    def build(self) -> None:
        """Builds what :class:`GroupedLearner` does."""
        # By a group's first policy: what has not been reported yet.
        self._pending_losses: dict[str, list[Losses]] = defaultdict(list)
        self._pending_metrics: dict[str, list[Metrics]] = defaultdict(list)
        self._steps_since_report: dict[str, int] = defaultdict(int)
        # Of the latest update: the groups with a batch here, and all that were trained.
        self._last_updates: list[tuple[PolicyGroup, Update]] = []
        self._trained: list[tuple[PolicyGroup, Update]] = []
        self._last_batches: Mapping[str, Any] = {}
        # By a group's first policy.
        self._opponents: dict[str, OpponentPolicies] = {}
        self._parsed = ParsedOptions()
        self._targets: dict[str, TargetNetworks] = {}
        self._replica_metrics: dict[tuple[str, str], dict[int, float]] = {}
        super().build()

    def remove_module(self, module_id: str, **kwargs: Any) -> Any:
        """Removes a policy; optimizers of those that were computed with it start afresh."""
        self._last_updates.clear()
        self._trained.clear()
        return super().remove_module(module_id, **kwargs)

    def _add_groups(self, module_ids: Iterable[str], *, added: bool = False) -> None:
        self._opponents.clear()
        self._targets.clear()
        super()._add_groups(module_ids, added=added)

    def should_module_be_updated(self, module_id: str, multi_agent_batch: Any = None) -> bool:
        """Whether the policy (all of its replicas alike) is to be trained."""
        policy, _ = split_id(module_id, self.config.policies)
        return super().should_module_be_updated(policy, multi_agent_batch)

    # Updating.

    def update(
        self,
        batch: MultiAgentBatch | Mapping[str, Mapping[str, Any]] | None = None,
        *,
        training_data: TrainingData | None = None,
        timesteps: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """One gradient step of all policies in the batch; see also :meth:`report`.

        Args:
            batch: for each policy the columns of `JointReplayBuffer.sample`; RLlib's type is
                needed only on the way to remote learners.
            training_data: RLlib's envelope around a batch, instead of `batch`.
            timesteps: holds the clock, "num_env_steps_sampled_lifetime".
        """
        if batch is None:
            assert training_data is not None
            batch = training_data.batch
        assert batch is not None
        timesteps = timesteps or {}
        env_steps = int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
        count_update(self)
        self.before_gradient_based_update(timesteps=timesteps)
        batches = getattr(batch, "policy_batches", batch)
        if not isinstance(batches, ReplicaBatches):
            batches = {
                module_id: columns
                for module_id, columns in batches.items()
                if self.should_module_be_updated(module_id, batch) and _num_rows(columns)
            }
        self._last_updates = [
            (group, self._make_update(group, batches, env_steps))
            for group in self._groups
            if any(module_id in batches for module_id in group.ids)
        ]
        self._last_batches = batches
        self._trained = self._last_updates
        # All learners take part in a step, whatever their shards hold.
        if self._last_updates or self.distributed:
            self._gradient_step(batches, env_steps)
        self.after_gradient_based_update(timesteps=timesteps)

    def _make_update(
        self, group: PolicyGroup, batches: Mapping[str, Any], env_steps: int
    ) -> Update:
        stacked = batches.stacked(group.ids) if isinstance(batches, ReplicaBatches) else None
        if stacked is None:
            present = [batches[module_id] for module_id in group.ids if module_id in batches]
            # A policy without a batch goes along on another's; it is put back after the step.
            padded = [batches.get(module_id, present[0]) for module_id in group.ids if present]
            names = present[0] if present else ()
            stacked = {name: group.join([one[name] for one in padded]) for name in names}
        columns = {
            name: torch.as_tensor(column).to(self.device, non_blocking=True)
            for name, column in stacked.items()
        }
        generators = [self._generators[module_id] for module_id in group.ids]
        return Update(
            group.policy,
            [self.config.get_config_for_module(module_id) for module_id in group.ids],
            columns,
            env_steps,
            PolicyRng(generators, stacked=group.stacked),
            group.stacked,
            self._opponent_policies(group) if group.policy.TRAINS_CENTRALLY else None,
            self._parsed,
            rows=self._rows(group, batches),
            total=self._total,
        )

    def _rows(self, group: PolicyGroup, batches: Mapping[str, Any]) -> Tensor:
        """Rows of each policy's own batch, () or (policies,)."""
        is_full = isinstance(batches, ReplicaBatches)
        rows = [float(is_full or _num_rows(batches.get(i, {}))) for i in group.ids]
        return torch.tensor(rows if group.stacked else rows[0], device=self.device)

    def _total(self, tensor: Tensor) -> Tensor:
        """The sum over all learners."""
        if self.distributed:
            torch.distributed.all_reduce(tensor)
        return tensor

    def _opponent_policies(self, group: PolicyGroup) -> OpponentPolicies:
        if group.ids[0] not in self._opponents:
            routes = {
                module_id: opponent_ids(module_id, policy.opponents, self.config.policies)
                for module_id, policy in group.members.items()
            }
            self._opponents[group.ids[0]] = OpponentPolicies(routes, self._groups, group.stacked)
        return self._opponents[group.ids[0]]

    def _gradient_step(self, batches: Mapping[str, Any], env_steps: int) -> None:
        total = []
        here = {group.ids[0]: update for group, update in self._last_updates}
        for group in self._groups:
            if group.ids[0] not in here:
                self._without_batch(group)
                continue
            update = here[group.ids[0]]
            losses = self.losses(update)
            total.append(torch.stack(list(losses.values())).sum())
            self._pending_losses[group.ids[0]].append(
                {name: loss.detach() for name, loss in losses.items()}
            )
            if self.config.average_metrics:
                with torch.no_grad():
                    measured = self.policy_metrics(update)
                self._pending_metrics[group.ids[0]].append(measured)
            rows = next(iter(update.columns.values())).shape[int(group.stacked)]
            for module_id in group.ids:
                if module_id in batches:
                    self._steps_since_report[module_id] += rows
        # A user's own encoder may be frozen.
        parameters = [
            parameter
            for group in self._groups
            for parameter in parameters_of(self.get_optimizer(group.ids[0]))
            if parameter.requires_grad
        ]
        found: Sequence[Tensor | None] = [None] * len(parameters)
        if total:
            loss = torch.stack(total).sum()
            found = torch.autograd.grad(loss, parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, found, strict=True):
            parameter.grad = gradient
        present: Container[str] = batches
        if self.distributed:
            present = everywhere = self._average_gradients(batches)
            self._trained = [
                (group, here.get(group.ids[0]) or self._make_update(group, {}, env_steps))
                for group in self._groups
                if not everywhere.isdisjoint(group.ids)
            ]
        self._clip_gradients()
        for group, update in self._trained:
            absent = [i for i, module_id in enumerate(group.ids) if module_id not in present]
            optimizer = self.get_optimizer(group.ids[0])
            rates = self._learning_rates[optimizer]
            for network, rate in zip(optimizer.param_groups, rates, strict=True):
                network["lr"] = rate.value(update.env_steps)
            targets = self._targets_of(group)
            with kept_as_is([*tensors_of(optimizer), *targets.followers] if absent else [], absent):
                optimizer.step()
                targets.follow(update.configs[0].tau)

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """What else changes with the clock."""
        for group, update in self._trained:
            if hasattr(group.policy, "has_learned"):
                group.policy.has_learned.data.fill_(1.0)
            self.after_update(update)

    def _without_batch(self, group: PolicyGroup) -> None:
        """What all learners do together, by one without a batch of these policies."""
        critic = getattr(group.policy, "critic", None)
        if self.distributed and critic is not None and critic.scale is not None:
            sums = torch.zeros_like(critic.scale.statistics, dtype=torch.double)
            critic.rescale(self._total(sums))

    def td_errors(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of the latest update the `INDICES` of rows that have weights, and how wrong Q was there.

        Both are (rows,), for each policy that had a batch.
        """
        return [
            (indices.cpu().numpy(), errors[module_id].cpu().numpy())
            for group, update in self._last_updates
            if update.td_errors
            for errors in (group.split(update.td_errors[-1]),)
            for module_id, indices in group.split(update.columns[INDICES]).items()
            if module_id in self._last_batches
        ]

    def _targets_of(self, group: PolicyGroup) -> TargetNetworks:
        if group.ids[0] not in self._targets:
            self._targets[group.ids[0]] = TargetNetworks(self.target_networks(group.policy))
        return self._targets[group.ids[0]]

    def compute_loss_for_module(self, **kwargs: Any) -> Tensor:
        """Not used: policies are computed together, see `losses`."""
        raise NotImplementedError(f"{type(self).__name__} computes losses in `losses`.")

    def _average_gradients(self, batches: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Makes the gradients those of all learners' rows together; the policies with any rows.

        Losses are means over rows: each learner's gradients count by the rows of its shard. A
        policy may be absent from it, but all learners must take part.
        """
        counts = [self._rows(group, batches).reshape(-1) for group in self._groups]
        parameters = [
            (number, parameter)
            for number, group in enumerate(self._groups)
            for parameter in parameters_of(self.get_optimizer(group.ids[0]))
            if parameter.requires_grad
        ]
        # Each as (policies of its group, numbers).
        gradients = [
            (torch.zeros_like(p) if p.grad is None else p.grad).reshape(len(counts[n]), -1)
            for n, p in parameters
        ]
        weighted = [
            gradient * counts[n].unsqueeze(-1)
            for (n, _), gradient in zip(parameters, gradients, strict=True)
        ]
        flat = torch.cat([*counts, *[gradient.flatten() for gradient in weighted]])
        torch.distributed.all_reduce(flat)
        parts = iter(flat.split([*map(len, counts), *[g.numel() for g in weighted]]))
        totals = [next(parts) for _ in counts]
        for (n, parameter), gradient in zip(parameters, weighted, strict=True):
            mean = next(parts).view_as(gradient) / totals[n].clamp_min(1.0).unsqueeze(-1)
            parameter.grad = mean.view_as(parameter)
        ids = [module_id for group in self._groups for module_id in group.ids]
        return {i for i, n in zip(ids, torch.cat(totals).tolist(), strict=True) if n}

    def _clip_gradients(self) -> None:
        """RLlib's `grad_clip`, for each policy and network on its own."""
        for group, update in self._trained:
            config = update.configs[0]
            if config.grad_clip is None:
                continue
            for network in self.get_optimizer(group.ids[0]).param_groups:
                trained = [p for p in network["params"] if p.grad is not None]
                gradients = clipped(
                    [p.grad for p in trained],
                    config.grad_clip,
                    config.grad_clip_by,
                    stacked=group.stacked,
                )
                for parameter, gradient in zip(trained, gradients, strict=True):
                    parameter.grad = gradient

    # Reporting.

    def report(self) -> Any:
        """RLlib's reduced metrics: losses, averaged since the last report, and the rest of now.

        Raises:
            ValueError: if a loss is not finite; it names policy, loss and env step.
        """
        for group, update in self._last_updates:
            for name, mean in _means(self._pending_losses.pop(group.ids[0], [])):
                self._log(group, name, mean)
                self._check_finite(group, name, mean, update.env_steps)
            with torch.no_grad():
                measured = self._pending_metrics.pop(group.ids[0], [])
                for name, mean in _means(measured or [self.policy_metrics(update)]):
                    self._log(group, name, mean)
        self._log_replicas()
        steps_by_policy: dict[str, int] = defaultdict(int)
        for module_id, steps in self._steps_since_report.items():
            steps_by_policy[split_id(module_id, self.config.policies)[0]] += steps
        for module_id, steps in steps_by_policy.items():
            for key in (module_id, ALL_MODULES):
                self.metrics.log_value((key, NUM_MODULE_STEPS_TRAINED), steps, reduce="sum")
                self.metrics.log_value(
                    (key, NUM_MODULE_STEPS_TRAINED_LIFETIME), steps, reduce="lifetime_sum"
                )
        self._pending_losses.clear()
        self._pending_metrics.clear()
        self._steps_since_report.clear()
        return self.metrics.reduce()

    def _log(self, group: PolicyGroup, name: str, value: Tensor) -> None:
        values = value.tolist() if group.stacked else [value.item()]
        if self.config.replicas == 1:
            for module_id, number in zip(group.ids, values, strict=True):
                self.metrics.log_value((module_id, name), number, window=1)
            return
        # One number a policy and replica would be thousands of metrics: their mean, and a list.
        for module_id, number in zip(group.ids, values, strict=True):
            policy, replica = split_id(module_id, self.config.policies)
            self._replica_metrics.setdefault((policy, name), {})[replica] = number

    def _log_replicas(self) -> None:
        for (policy, name), numbers in self._replica_metrics.items():
            per_replica = [numbers[replica] for replica in sorted(numbers)]
            mean = sum(per_replica) / len(per_replica)
            self.metrics.log_value((policy, name), mean, window=1)
            self.metrics.log_value((REPLICAS, policy, name), per_replica, reduce="item")
        self._replica_metrics.clear()

    def _check_finite(self, group: PolicyGroup, name: str, mean: Tensor, env_steps: int) -> None:
        for module_id, value in group.split(mean).items():
            if not math.isfinite(value):
                raise ValueError(
                    f"`{name}` of policy {module_id!r} is {value.item()} at env step {env_steps}; "
                    "training has diverged. Lower the learning rates, bound the rewards, or set "
                    "`grad_clip`."
                )

    def _log_trainable_parameters(self) -> None:
        # RLlib logs these once, which makes them NaN in every later result.
        pass
