"""Policies that learn a Q-function of the joint action."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn

from rommeo_rllib.components import all_actions
from rommeo_rllib.joint_action.encoding import encode_observations
from rommeo_rllib.joint_action.gradients import evaluated
from rommeo_rllib.joint_action.policy import JointActionPolicy

Q_LAYER_NORM = "q_layer_norm"
"""Key of the model config: whether the Q-network's hidden layers are normalised."""

MAX_COUNTED_ACTIONS = 64
"""Up to this many joint actions of the opponents, and as many own actions that are made of several
choices, are all considered; of more, samples are. A single choice is always counted."""


class JointQPolicy(JointActionPolicy):
    """A policy with Q(s, a, o), of its own and its opponents' actions, and a target of it.

    Subclasses call `build_critic()` in `setup()`.

    Attributes:
        target_encoder: the encoder's target, where there is an encoder, else None.
        counts_own_actions: whether expectations over the own actions are exact; then the Q-network
            has an output for each.
        all_own_actions: where those are made of several choices, all of them, (N, own action size).
    """

    all_own_actions: Tensor | None

    def setup(self) -> None:
        """Finds out whether the own actions can be counted."""
        super().setup()
        self.target_encoder: nn.Module | None = None
        own_actions = None
        if len(self.own_components) > 1:
            own_actions = all_actions(self.own_components, MAX_COUNTED_ACTIONS)
        self.register_buffer("all_own_actions", own_actions, persistent=False)
        is_choice = len(self.own_components) == 1 and self.own_components[0].kind == "discrete"
        self.counts_own_actions = is_choice or own_actions is not None

    @property
    def critic_observation_size(self) -> int:
        """Length of what the Q-function sees of the state."""
        return self.observation_size

    @property
    def critic_opponent_size(self) -> int:
        """Length of what the Q-function sees of the opponents' actions."""
        return self.opponent_action_size

    @property
    def q_parameters(self) -> list[nn.Parameter]:
        """What the Q-function's loss trains: its network, and the encoder if there is one."""
        encoder = [] if self.encoder is None else list(self.encoder.parameters())
        return [*self.q_network.parameters(), *encoder]

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return ["target_encoder", "target_q_network"]

    @property
    def critic_targets(self) -> list[tuple[nn.Module, nn.Module]]:
        """What follows the Q-function's loss slowly: pairs of a module and its target."""
        pairs: list[tuple[nn.Module, nn.Module]] = [(self.q_network, self.target_q_network)]
        if self.encoder is not None and self.target_encoder is not None:
            pairs.append((self.encoder, self.target_encoder))
        return pairs

    def encode_for_target(self, observations: Any, encoded: Tensor | None = None) -> Tensor:
        """Observations as target networks see them, (B, observation size).

        Args:
            observations: as for `encode`.
            encoded: what `encode` said of them, if it has been asked.
        """
        if self.target_encoder is None:
            return self.encode(observations) if encoded is None else encoded
        flat = encode_observations(self.observation_space, observations)
        with evaluated(self.target_encoder):
            return self.target_encoder(flat.flatten(0, -2)).unflatten(0, flat.shape[:-1])

    def build_critic(self) -> None:
        """Builds the Q-network, and targets of it and of the encoder."""
        # One output for each of the actions that are listed, so that expectations over them are
        # exact and cost one pass.
        inputs = self.critic_observation_size + self.critic_opponent_size
        if not self.counts_own_actions:
            inputs, outputs = inputs + self.own_action_size, 1
        elif self.all_own_actions is not None:
            outputs = len(self.all_own_actions)
        else:
            outputs = self.own_action_size
        layer_norm = self.model_config[Q_LAYER_NORM]
        self.q_network = self.build_network(inputs, outputs, layer_norm=layer_norm)
        self.target_q_network = copy.deepcopy(self.q_network).requires_grad_(False)
        if self.encoder is not None and not self.inference_only:
            with torch.no_grad():
                self.target_encoder = copy.deepcopy(self.encoder)
            for parameter in self.target_encoder.parameters():  # Not all modules have a method.
                parameter.requires_grad_(False)

    def q(
        self,
        observations: Tensor,
        own_actions: Tensor | None,
        opponent_actions: Tensor,
        *,
        target: bool = False,
    ) -> Tensor:
        """Q(s, a, o), from the target network if `target`.

        Args:
            observations: encoded, (B, critic observation size).
            own_actions: (B, own action size), a one-hot for a discrete action; None for all of
                them at once, where they are counted.
            opponent_actions: (B, critic opponent size).

        Returns:
            (B,), or (B, own actions) if `own_actions` is None.
        """
        network = self.target_q_network if target else self.q_network
        if self.counts_own_actions:
            q_values = network(torch.cat([observations, opponent_actions], dim=-1))
            if own_actions is None:
                return q_values
            if self.all_own_actions is not None:
                # The listed action that has most ones in common is the very one.
                own_actions = own_actions @ self.all_own_actions.mT
            return q_values.gather(-1, own_actions.argmax(-1, keepdim=True)).squeeze(-1)
        assert own_actions is not None
        inputs = torch.cat([observations, own_actions, opponent_actions], dim=-1)
        return network(inputs).squeeze(-1)
