"""A learner whose policies are computed together: groups, their optimizers, and random streams."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.utils.deterministic
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from torch import Generator
from torch.optim import Optimizer

from rommeo_rllib.joint_action.modules.optimizer_state import (
    POLICIES,
    groups_in,
    network_states,
    take_up,
)
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup, group_policies
from rommeo_rllib.joint_action.settings.per_policy import overrides_of
from rommeo_rllib.joint_action.spaces.replicas import replica_order
from rommeo_rllib.joint_action.update import TrainedParameters
from rommeo_rllib.process_memory import keep_freed_memory
from rommeo_rllib.rllib_boundary.running import forget_optimizers
from rommeo_rllib.rng import RNG_STREAMS, restore_streams, seeded_generator, streams_state
from rommeo_rllib.schedules import Schedule, make_schedule

_LEARNER_STREAM = 1


class GroupedLearner(TorchLearner):
    """Groups policies of equal shape, and makes an optimizer for each group."""

    def trained_parameters(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, TrainedParameters]:
        """What is trained of a policy (or of several, stacked), by the network's name."""
        raise NotImplementedError

    def group_key(self, config: AlgorithmConfig, module_id: str) -> object:
        """Policies are computed together only if this is equal."""
        overrides = overrides_of(config, module_id)
        return repr(sorted((k, v) for k, v in overrides.items() if k not in config.STACKED_KEYS))

    # Building.

    def build(self) -> None:
        """Builds modules, groups and optimizers."""
        self._groups: list[PolicyGroup] = []
        self._generators: dict[str, Generator] = {}
        self._learning_rates: dict[Optimizer, list[Schedule]] = {}
        super().build()
        # RLlib makes torch deterministic where there is a seed. Torch then also fills all memory
        # that it hands out, which no result depends on.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        if self.config.replicas > 1:
            keep_freed_memory()
        if self.distributed:
            # Without a seed, each learner has drawn other weights, of targets too.
            for group in self._groups:
                for tensor in (*group.policy.parameters(), *group.policy.buffers()):
                    torch.distributed.broadcast(tensor.data, src=0)

    def configure_optimizers(self) -> None:
        """Groups the policies and makes their optimizers."""
        self._add_groups(self.module.keys())

    def configure_optimizers_for_module(
        self, module_id: str, config: AlgorithmConfig | None = None
    ) -> None:
        """For a policy that is added later: a group of its own."""
        self._add_groups([module_id], added=True)

    def remove_module(self, module_id: str, **kwargs: Any) -> Any:
        """Removes a policy; optimizers of those that were computed with it start afresh."""
        affected = [group for group in self._groups if module_id in group.ids]
        for group in affected:
            self._forget(group)
        self._generators.pop(module_id, None)
        spec = super().remove_module(module_id, **kwargs)
        self._add_groups(i for group in affected for i in group.ids if i != module_id)
        return spec

    def _forget(self, group: PolicyGroup) -> None:
        self._groups.remove(group)
        for optimizer in forget_optimizers(self, group.ids[0]):
            self._learning_rates.pop(optimizer)

    def _regroup(self, stored: Iterable[Iterable[str]]) -> None:
        """Groups policies as they were, as far as they can be: a group counts its steps together.

        Args:
            stored: the groups' policies.
        """
        learning = {i for i, m in self.module.items() if isinstance(m, JointActionPolicy)}
        wanted = [[i for i in ids if i in learning] for ids in stored]
        wanted.append(sorted(learning.difference(*wanted), key=replica_order))
        wanted = [ids for ids in wanted if ids]
        if wanted == [group.ids for group in self._groups]:
            return
        generators = self._generators
        for group in list(self._groups):
            self._forget(group)
        for ids in wanted:
            self._add_groups(ids)
        self._generators |= generators

    def _add_groups(self, module_ids: Iterable[str], *, added: bool = False) -> None:
        # Opponents of another kind do not learn here.
        policies = {
            module_id: self.module[module_id]
            for module_id in sorted(module_ids, key=replica_order)
            if isinstance(self.module[module_id], JointActionPolicy)
        }
        keys = {module_id: self.group_key(self.config, module_id) for module_id in policies}
        for group in group_policies(policies, keys):
            self._groups.append(group)
            self._register_optimizer(group)
            for module_id in group.ids:
                self._generators[module_id] = self._seeded_generator(module_id, added)

    def _register_optimizer(self, group: PolicyGroup) -> None:
        """One optimizer for all networks of a group, since each costs time of its own."""
        config = self.config.get_config_for_module(group.ids[0])
        networks = self.trained_parameters(group.policy, config)
        rates = [make_schedule(n.lr, f"{name}_lr", allow_zero=True) for name, n in networks.items()]
        optimizer = torch.optim.Adam(
            [
                {
                    "params": list(network.parameters),
                    "lr": rate.value(0),
                    "name": name,
                    POLICIES: list(group.ids),
                }
                for (name, network), rate in zip(networks.items(), rates, strict=True)
            ],
            fused=True,
        )
        self._learning_rates[optimizer] = rates
        self.register_optimizer(
            module_id=group.ids[0],
            optimizer=optimizer,
            params=[p for network in networks.values() for p in network.parameters],
        )

    def _seeded_generator(self, module_id: str, added: bool) -> Generator:
        # Several learners start from equal networks; their noise differs.
        rank = torch.distributed.get_rank() if self.distributed else 0
        key = self.config.stream_key(module_id, added=added)
        return seeded_generator(*key, _LEARNER_STREAM, rank, device=self.device)

    @property
    def groups(self) -> list[PolicyGroup]:
        """The policies, as they are computed together."""
        return self._groups

    def _make_modules_ddp_if_necessary(self) -> None:
        # DistributedDataParallel sees gradients of its own forward pass only; the losses here call
        # single networks, several times. Gradients are averaged in one go instead.
        pass

    # Checkpoints.

    def begin_afresh(self, policy: JointActionPolicy, config: AlgorithmConfig, name: str) -> None:
        """Called for a network that learns here, but did not in the run whose state is loaded.

        Args:
            policy: whose network it is.
            config: the policy's configuration.
            name: of the network, as in `trained_parameters`.
        """

    def _set_optimizer_state(self, state: dict[str, Any]) -> None:
        """Takes up what is stored of each policy's networks."""
        stored = network_states(state)
        known = {module_id for module_id, _ in stored}
        self._regroup(groups_in(state))
        for group in self._groups:
            optimizer = self.get_optimizer(group.ids[0])
            take_up(optimizer, stored)
            for network in optimizer.param_groups:
                for module_id, policy in group.members.items():
                    name = network["name"]
                    if module_id in known and (module_id, name) not in stored:
                        config = self.config.get_config_for_module(module_id)
                        self.begin_afresh(policy, config, name)

    def get_state(
        self, components: Any = None, *, not_components: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Like RLlib's, and the state of the policies' random numbers."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if components is None:
            state[RNG_STREAMS] = streams_state(self._generators)
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up a state; random numbers go on where they were if this is the only learner."""
        super().set_state(state)
        if not self.distributed:
            restore_streams(self._generators, state.get(RNG_STREAMS, {}))
