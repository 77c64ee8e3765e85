"""The policies of DDPG's family. They differ in what their Q-function sees of the others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from rommeo_rllib.components import squash
from rommeo_rllib.joint_action.deterministic import DeterministicPolicy
from rommeo_rllib.joint_action.encoding import observation_size


class DDPGPolicy(DeterministicPolicy):
    """mu(s) and Q(s, a): the others are part of the environment."""

    @property
    def critic_opponent_size(self) -> int:
        """The Q-function sees nothing of the opponents' actions."""
        return 0


class MADDPGPolicy(DeterministicPolicy):
    """mu(s) and Q(x, a, o), x being what all agents observe."""

    TRAINS_CENTRALLY = True

    @property
    def critic_observation_size(self) -> int:
        """The Q-function sees all agents' observations."""
        spaces = self.opponents.observation_spaces
        return self.observation_size + sum(observation_size(s, "An opponent") for s in spaces)

    def joint_observations(
        self, observations: Tensor, others: Sequence[Tensor], opponent_mask: Tensor
    ) -> Tensor:
        """All agents' observations as the Q-function sees them; zeros for absent agents.

        Args:
            observations: the agent's own, encoded, (B, observation size).
            others: each opponent's, as they are stored, (B, ...) each.
            opponent_mask: (B, opponents).

        Returns:
            (B, critic observation size).
        """
        encoded = self.opponents.encode(others)
        masked = [
            one * present.unsqueeze(-1)
            for one, present in zip(encoded, opponent_mask.unbind(-1), strict=True)
        ]
        return torch.cat([observations, *masked], dim=-1)


class DDPGOMPolicy(DeterministicPolicy):
    """mu(s, o) and Q(s, a, o), with o from a model of what the opponents do at s."""

    def setup(self) -> None:
        """Builds the networks; the model acts, too."""
        super().setup()
        self.opponent_model_network = self.build_network(
            self.observation_size, self.opponent_action_size
        )

    @property
    def policy_input_size(self) -> int:
        """The policy sees the prediction beside its observation."""
        return self.observation_size + self.opponent_action_size

    def policy_inputs(self, observations: Tensor, opponent_mask: Tensor | None = None) -> Tensor:
        """Observations and predictions; the policy's loss does not train the model."""
        predicted = self.opponent_model(observations).detach()
        if opponent_mask is not None:
            predicted = predicted * self.opponents.action_mask(opponent_mask)
        return torch.cat([observations, predicted], dim=-1)

    def opponent_model(self, observations: Tensor) -> Tensor:
        """The opponents' predicted actions: (B, observation size) -> (B, their action size)."""
        return squash(self.opponent_components, self.opponent_model_network(observations))
