"""The critic: Q-functions of the joint action, their targets, and what is needed to train them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from rommeo_rllib import objective
from rommeo_rllib.components import ActionComponent, action_size, all_actions
from rommeo_rllib.joint_action.modules.gradients import frozen
from rommeo_rllib.joint_action.modules.networks import Dense, TargetScale

Q_LAYER_NORM = "q_layer_norm"
"""Key of the model config: whether the hidden layers of Q-networks are normalised."""

TWIN_Q = "twin_q"
"""Key of the model config: one of `TWIN_Q_CHOICES`."""

NORMALISE_Q = "normalise_q"
"""Key of the model config: whether Q-networks learn targets scaled by their running statistics."""

MINIMUM, MEAN = "minimum", "mean"
TWIN_Q_CHOICES = (False, True, MINIMUM, MEAN)
"""One Q-network, or two, of which the smaller value counts (True says the same) or the mean."""

MAX_ENUMERATED_ACTIONS = 64
"""Up to this many joint actions of the opponents, and as many own actions that are made of several
choices, are all considered; of more, the neighbours of a sample (`local_expectations`). A single
choice is always counted."""


def listed_choices(components: Sequence[ActionComponent]) -> Tensor | None:
    """All joint actions that are made of several choices, (N, action size), if they are counted."""
    return all_actions(components, MAX_ENUMERATED_ACTIONS) if len(components) > 1 else None


class Critic(nn.Module):
    """Q(s, a, o), of an agent's own and its opponents' actions.

    Args:
        observation_size: length of what Q sees of the state.
        own_components: of the agent's own action.
        opponent_size: length of what Q sees of the opponents' actions.
        build_network: makes a network for a number of inputs and one of outputs; it is told whether
            to normalise layers.
        encoders: what Q sees the state through, by name. They are trained by Q's loss.
        model_config: the policy's.
        inference_only: whether to leave out the targets, which only training needs.

    Attributes:
        networks: the Q-networks.
        target_networks: their targets.
        target_encoders: the encoders' targets, by name.
        enumerates_own_actions: whether expectations over the own actions are exact; then a
            Q-network has an output for each.
        own_actions: where those are made of several choices, all of them, (N, own action size);
            else None.
        scale: where targets are scaled, by what; the networks then speak of standard deviations
            from the mean, and so does the critic. Else None.
    """

    own_actions: Tensor | None

    def __init__(
        self,
        observation_size: int,
        own_components: Sequence[ActionComponent],
        opponent_size: int,
        build_network: Callable[..., nn.Module],
        encoders: Mapping[str, nn.Module],
        model_config: Mapping[str, Any],
        *,
        inference_only: bool = False,
    ):
        super().__init__()
        listed = listed_choices(own_components)
        self.register_buffer("own_actions", listed, persistent=False)
        is_choice = len(own_components) == 1 and own_components[0].kind == "discrete"
        self.enumerates_own_actions = is_choice or listed is not None
        # One output for each of the actions that are listed, so that expectations over them are
        # exact and cost one pass.
        inputs, own = observation_size + opponent_size, action_size(own_components)
        if not self.enumerates_own_actions:
            inputs, outputs = inputs + own, 1
        else:
            outputs = own if listed is None else len(listed)
        normalised = model_config[Q_LAYER_NORM]
        # Bundles of policies that were trained without a choice do not say.
        self._twin = model_config.get(TWIN_Q, False)
        self.networks = nn.ModuleList(
            build_network(inputs, outputs, layer_norm=normalised)
            for _ in range(2 if self._twin else 1)
        )
        # Not registered here: these are the policy's.
        self._encoders = dict(encoders)
        self.scale = TargetScale() if model_config.get(NORMALISE_Q, False) else None
        if self.scale is not None:
            # What has not been learned counts for nothing, at any scale of the rewards.
            for last in self._last_layers(self.networks):
                nn.init.zeros_(last.weight)
                nn.init.zeros_(last.bias)
        if inference_only:
            return
        self.target_networks = _copied(self.networks)
        self.target_encoders = nn.ModuleDict({k: _copied(v) for k, v in encoders.items()})

    @property
    def trained(self) -> list[nn.Parameter]:
        """What the loss trains: Q-networks and encoders."""
        return [p for one in (self.networks, *self._encoders.values()) for p in one.parameters()]

    def in_reward_units(self, values: Tensor) -> Tensor:
        """What the critic says, (..., B), in units of the reward."""
        if self.scale is None:
            return values
        return self.scale.mean.unsqueeze(-1) + self.scale.std.unsqueeze(-1) * values

    def scaled(self, targets: Tensor, rows: Tensor, total: Callable[[Tensor], Tensor]) -> Tensor:
        """Takes up what Q is to be into the scale, and says it in the networks' own units.

        What the networks stand for stays what it was. To be called before anything is computed
        that a gradient is to flow through.

        Args:
            targets: in units of the reward, (..., B).
            rows: how many of each policy's targets are its own, B or 0, () or (policies,).
            total: the sum over all learners.

        Returns:
            Targets for :meth:`losses`.
        """
        if self.scale is None:
            return targets
        precise = targets.double()
        ones = torch.ones_like(precise)
        sums = torch.stack([v.mean(-1) for v in (ones, precise, precise.square())], -1)
        self.rescale(total(sums * rows.unsqueeze(-1)))
        return (targets - self.scale.mean.unsqueeze(-1)) / self.scale.std.unsqueeze(-1)

    @torch.no_grad()
    def rescale(self, sums: Tensor) -> None:
        """Takes up a batch of targets; what the networks stand for stays what it was (PopArt).

        Args:
            sums: see :meth:`TargetScale.observe`.
        """
        assert self.scale is not None
        factor, shift = (change[..., None, None] for change in self.scale.observe(sums))
        for last in self._last_layers(self.networks, self.target_networks):
            last.weight.mul_(factor)
            last.bias.mul_(factor).add_(shift)

    def _last_layers(self, *networks: nn.Module) -> list[Dense]:
        lasts = [list(network.children())[-1] for group in networks for network in group.children()]
        found = [last for last in lasts if isinstance(last, Dense)]
        if len(found) < len(lasts):
            raise ValueError(
                f"`{NORMALISE_Q}` is True, and a Q-network ends in "
                f"{type(lasts[0]).__name__}; allowed: networks that end in "
                f"{Dense.__module__}.Dense, or False."
            )
        return found

    @property
    def followed(self) -> list[tuple[nn.Module, nn.Module]]:
        """Pairs of a module and its target, which follows it by Polyak averaging."""
        encoders = [(one, self.target_encoders[name]) for name, one in self._encoders.items()]
        return [(self.networks, self.target_networks), *encoders]

    def frozen(self) -> AbstractContextManager[None]:
        """Within it gradients flow through Q to its inputs, not to the Q-networks' parameters."""
        return frozen(self.networks)

    def forward(
        self,
        observations: Tensor,
        own_actions: Tensor | None,
        opponent_actions: Tensor,
        *,
        target: bool = False,
    ) -> Tensor:
        """Q(s, a, o), by the targets if `target`.

        Args:
            observations: encoded, (B, observation size).
            own_actions: (B, own action size), a one-hot for a discrete action; None for all of
                them at once, where they are counted.
            opponent_actions: (B, opponent size).
            target: ask the target networks.

        Returns:
            (B,), or (B, own actions) if `own_actions` is None.
        """
        networks = self.target_networks if target else self.networks
        values = self._values(networks, observations, own_actions, opponent_actions)
        if not self._twin:
            return values[0]
        one, other = values
        return 0.5 * (one + other) if self._twin == MEAN else torch.minimum(one, other)

    def losses(
        self,
        observations: Tensor,
        own_actions: Tensor,
        opponent_actions: Tensor,
        targets: Tensor,
    ) -> Tensor:
        """Half of the squared Bellman error of each row (Eq. 14), (B,).

        Of two networks it is the sum, so that each learns as it would alone.

        Args:
            observations: encoded, (B, observation size).
            own_actions: (B, own action size).
            opponent_actions: (B, opponent size).
            targets: what Q is to be, (B,).
        """
        values = self._values(self.networks, observations, own_actions, opponent_actions)
        return torch.stack([objective.q_loss(value, targets) for value in values]).sum(0)

    def _values(
        self,
        networks: nn.Module,
        observations: Tensor,
        own_actions: Tensor | None,
        opponent_actions: Tensor,
    ) -> list[Tensor]:
        """What each network says; shapes as for `forward`."""
        if not self.enumerates_own_actions:
            assert own_actions is not None
            inputs = torch.cat([observations, own_actions, opponent_actions], dim=-1)
            return [network(inputs).squeeze(-1) for network in networks.children()]
        inputs = torch.cat([observations, opponent_actions], dim=-1)
        values = [network(inputs) for network in networks.children()]
        if own_actions is None:
            return values
        if self.own_actions is not None:
            # The listed action that has most ones in common is the very one.
            own_actions = own_actions @ self.own_actions.mT
        done = own_actions.argmax(-1, keepdim=True)
        return [value.gather(-1, done).squeeze(-1) for value in values]


class TargetNetworks:
    """Networks that follow others by Polyak averaging.

    Args:
        pairs: (network, its target).

    Attributes:
        followers: parameters of targets.
    """

    def __init__(self, pairs: Iterable[tuple[nn.Module, nn.Module]]):
        pairs = list(pairs)
        parameters = [
            (follower, followed)
            for network, target in pairs
            for follower, followed in zip(target.parameters(), network.parameters(), strict=True)
            if follower.is_floating_point()
        ]
        self.followers: list[Tensor] = [follower for follower, _ in parameters]
        self._followed: list[Tensor] = [followed for _, followed in parameters]
        # Means of a normalisation, say; modules may replace these tensors.
        self._with_buffers = [pair for pair in pairs if next(pair[1].buffers(), None) is not None]

    @torch.no_grad()
    def follow(self, tau: float) -> None:
        """Moves each parameter by `tau` of the way to its network's, and copies the buffers."""
        if self.followers:
            torch._foreach_lerp_(self.followers, self._followed, tau)
        for network, target in self._with_buffers:
            for buffer, latest in zip(target.buffers(), network.buffers(), strict=True):
                buffer.copy_(latest)


def _copied(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        copied = copy.deepcopy(module)
    for parameter in copied.parameters():  # Not all modules have a method.
        parameter.requires_grad_(False)
    return copied
