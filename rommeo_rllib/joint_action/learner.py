"""The learner that all algorithms here share: from joint batches to updated networks.

RLlib's own learner passes episodes through connectors, makes each module's losses in turn and turns
every metric into a number at each update. Here a batch comes in ready, the losses of all policies
are summed up for one backward pass, and metrics stay tensors until they are asked for.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.policy.sample_batch import MultiAgentBatch
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_MODULE_STEPS_TRAINED,
    NUM_MODULE_STEPS_TRAINED_LIFETIME,
)
from torch import Tensor, nn

from rommeo_rllib.joint_action.policy import JointActionPolicy

Losses = dict[str, Tensor]
"""Losses of one policy by name, each reduced to a number; their sum is what is minimised."""

Metrics = dict[str, Tensor]

TORCH_RNG_STATE = "torch_rng_state"


@dataclass(frozen=True)
class OptimizerSpec:
    """Parameters that are trained together, and how fast (a number or RLlib's schedule)."""

    parameters: Sequence[nn.Parameter]
    lr: Any


class JointActionLearner(TorchLearner):
    """Owns optimizers, target networks and the clock; a subclass supplies losses."""

    # What a subclass supplies.

    def optimizers_for_policy(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, OptimizerSpec]:
        """The optimizers of one policy, by name."""
        raise NotImplementedError

    def losses_for_policy(
        self,
        policy: JointActionPolicy,
        config: AlgorithmConfig,
        batch: dict[str, Tensor],
        env_steps: int,
    ) -> Losses:
        """Losses of one policy.

        Args:
            policy: its networks.
            config: the configuration, with what is overridden for this policy.
            batch: the columns of `JointReplayBuffer.sample`, as tensors.
            env_steps: the clock of all schedules, env steps sampled so far.

        Returns:
            Scalar losses, each with gradients for its own networks only.
        """
        raise NotImplementedError

    def metrics_for_policy(
        self,
        policy: JointActionPolicy,
        config: AlgorithmConfig,
        batch: dict[str, Tensor],
        env_steps: int,
    ) -> Metrics:
        """Scalars worth reporting beside the losses; called for a report's last batch only."""
        return {}

    def target_networks(self, policy: JointActionPolicy) -> list[tuple[nn.Module, nn.Module]]:
        """Pairs of (network, its target), which follows it by Polyak averaging."""
        return []

    # The learner.

    def build(self) -> None:
        """Builds modules and optimizers; gives each of several learners noise of its own."""
        super().build()
        self._pending_losses: dict[str, list[Losses]] = defaultdict(list)
        self._steps_since_report: dict[str, int] = defaultdict(int)
        self._last_update: tuple[dict[str, dict[str, Tensor]], int] = ({}, 0)
        if self.distributed:
            if self.config.seed is not None:
                # All learners start from one seed, hence from equal networks; their noise differs.
                torch.manual_seed(self.config.seed + 1 + torch.distributed.get_rank())
            for parameter in self._params:
                torch.distributed.broadcast(parameter.data, src=0)

    def configure_optimizers_for_module(
        self, module_id: str, config: AlgorithmConfig | None = None
    ) -> None:
        """One Adam for each group of parameters that the algorithm names."""
        policy = self.module[module_id]
        if not isinstance(policy, JointActionPolicy):
            return  # An opponent of another kind, which does not learn here.
        config = config or self.config.get_config_for_module(module_id)
        for name, spec in self.optimizers_for_policy(policy, config).items():
            parameters = list(spec.parameters)
            self.register_optimizer(
                module_id=module_id,
                optimizer_name=name,
                optimizer=torch.optim.Adam(parameters, fused=True),
                params=parameters,
                lr_or_lr_schedule=spec.lr,
            )

    def update(
        self,
        batch: MultiAgentBatch | None = None,
        *,
        training_data: TrainingData | None = None,
        timesteps: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """One gradient step of all policies in the batch; see also :meth:`report`.

        Args:
            batch: for each policy the columns of `JointReplayBuffer.sample`.
            training_data: RLlib's envelope around a batch, instead of `batch`.
            timesteps: holds the clock, "num_env_steps_sampled_lifetime".
        """
        if batch is None:
            assert training_data is not None
            batch = training_data.batch
        assert batch is not None
        timesteps = timesteps or {}
        env_steps = int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
        self._weights_seq_no += 1
        self.before_gradient_based_update(timesteps=timesteps)
        columns = {
            module_id: self._to_tensors(module_batch)
            for module_id, module_batch in batch.policy_batches.items()
            if self.should_module_be_updated(module_id, batch)
            and isinstance(self.module[module_id], JointActionPolicy)
        }
        if columns:
            self._gradient_step(columns, env_steps)
            self._last_update = (columns, env_steps)
        self.after_gradient_based_update(timesteps=timesteps)

    def report(self) -> Any:
        """RLlib's reduced metrics: losses, averaged since the last report, and the rest of now.

        Raises:
            ValueError: if a loss is not finite; it names policy, loss and env step.
        """
        columns, env_steps = self._last_update
        for module_id, updates in self._pending_losses.items():
            for name in updates[-1]:
                mean = torch.stack([losses[name] for losses in updates]).mean().item()
                if not math.isfinite(mean):
                    raise ValueError(
                        f"`{name}` of policy {module_id!r} is {mean} at env step {env_steps}; "
                        "training has diverged. Lower the learning rates, bound the rewards, or "
                        "set `grad_clip`."
                    )
                self.metrics.log_value((module_id, name), mean, window=1)
            self._log_steps(module_id, self._steps_since_report[module_id])
        self._pending_losses.clear()
        self._steps_since_report.clear()
        for module_id, policy_batch in columns.items():
            config = self.config.get_config_for_module(module_id)
            with torch.no_grad():
                metrics = self.metrics_for_policy(
                    self.module[module_id], config, policy_batch, env_steps
                )
            for name, value in metrics.items():
                self.metrics.log_value((module_id, name), value.item(), window=1)
        return self.metrics.reduce()

    def _gradient_step(self, columns: dict[str, dict[str, Tensor]], env_steps: int) -> None:
        losses_per_policy = {}
        for module_id, policy_batch in columns.items():
            config = self.config.get_config_for_module(module_id)
            losses = self.losses_for_policy(self.module[module_id], config, policy_batch, env_steps)
            losses_per_policy[module_id] = torch.stack(list(losses.values())).sum()
            self._pending_losses[module_id].append(
                {name: loss.detach() for name, loss in losses.items()}
            )
            self._steps_since_report[module_id] += len(next(iter(policy_batch.values())))
        gradients = self.compute_gradients(losses_per_policy)
        if self.distributed:
            self._average_gradients()
            gradients = {p: p.grad for p in self._params.values()}
        gradients = {p: g for p, g in gradients.items() if g is not None}
        self.apply_gradients(self.postprocess_gradients(gradients))

    def compute_loss_for_module(self, **kwargs: Any) -> Tensor:
        """Not used: losses depend on the clock, see `losses_for_policy`."""
        raise NotImplementedError(f"{type(self).__name__} computes losses in `losses_for_policy`.")

    def apply_gradients(self, gradients_dict: dict[Any, Tensor]) -> None:
        """Steps all optimizers."""
        for parameter, gradient in gradients_dict.items():
            parameter.grad = gradient
        for optimizer in self._optimizer_parameters:
            optimizer.step()

    def after_gradient_based_update(self, *, timesteps: dict[str, Any]) -> None:
        """Moves target networks and scheduled learning rates on."""
        for module_id in self.module.keys():  # noqa: SIM118 (a MultiRLModule is no dict)
            policy = self.module[module_id]
            if isinstance(policy, JointActionPolicy):
                self._update_targets(policy, self.config.get_config_for_module(module_id).tau)
        env_steps = int(timesteps.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
        for optimizer, schedule in self._optimizer_lr_schedules.items():
            if schedule.use_schedule:
                self._set_optimizer_lr(optimizer, schedule.update(timestep=env_steps))

    def get_state(
        self, components: Any = None, *, not_components: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Like RLlib's, and the state of torch's random numbers in this process."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if components is None:
            state[TORCH_RNG_STATE] = torch.get_rng_state().numpy()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up a state; random numbers go on where they were if this is the only learner."""
        super().set_state(state)
        if TORCH_RNG_STATE in state and not self.distributed:
            torch.set_rng_state(torch.from_numpy(state[TORCH_RNG_STATE]))

    def _log_trainable_parameters(self) -> None:
        # RLlib logs these once, which makes them NaN in every later result.
        pass

    def _make_modules_ddp_if_necessary(self) -> None:
        # DistributedDataParallel sees gradients of its own forward pass only; the losses here call
        # single networks, several times. Gradients are averaged in one go instead.
        pass

    def _average_gradients(self) -> None:
        # A policy may be absent from this learner's shard, but all learners must take part.
        gradients = [
            p.grad if p.grad is not None else torch.zeros_like(p) for p in self._params.values()
        ]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        flat /= torch.distributed.get_world_size()
        offset = 0
        for parameter in self._params.values():
            size = parameter.numel()
            parameter.grad = flat[offset : offset + size].view_as(parameter)
            offset += size

    def _update_targets(self, policy: JointActionPolicy, tau: float) -> None:
        for network, target in self.target_networks(policy):
            torch._foreach_lerp_(
                list(target.parameters()), [p.detach() for p in network.parameters()], tau
            )

    def _to_tensors(self, columns: Any) -> dict[str, Tensor]:
        return {
            name: torch.as_tensor(columns[name]).to(self._device, non_blocking=True)
            for name in columns
        }

    def _log_steps(self, module_id: str, steps: int) -> None:
        for key in (module_id, ALL_MODULES):
            self.metrics.log_value((key, NUM_MODULE_STEPS_TRAINED), steps, reduce="sum")
            self.metrics.log_value(
                (key, NUM_MODULE_STEPS_TRAINED_LIFETIME), steps, reduce="lifetime_sum"
            )


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Within it gradients flow through the networks to their inputs, not to their parameters."""
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def masked_mean(values: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over all entries, or over those where `mask` is 1; 0 where there are none."""
    if mask is None:
        return values.mean()
    return (values * mask).sum() / mask.sum().clamp_min(1.0)
