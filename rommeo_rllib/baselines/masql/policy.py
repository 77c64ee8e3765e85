"""MASQL's policy: Q of the joint action, and a network that samples joint actions by it."""

from __future__ import annotations

import torch
from torch import Tensor

from rommeo_rllib.joint_action.joint_q import JointQPolicy
from rommeo_rllib.noise import GLOBAL_NOISE, Noise, seeded_generator

GREEDY_SAMPLES = 64
"""Joint actions among which a greedy agent takes the best."""


class MASQLPolicy(JointQPolicy):
    """Each agent samples a joint action and plays its own part of it (Wei et al. 2018).

    Greedy, it takes its part of the best joint action, by Q, of some that are always the same.

    Attributes:
        greedy_noise: inputs of the sampler for these, (GREEDY_SAMPLES, joint action size).
    """

    ACTION_KINDS = frozenset({"continuous"})

    greedy_noise: Tensor

    def setup(self) -> None:
        """Builds the networks; env runners need Q, too, for greedy actions."""
        super().setup()
        size = self.joint_action_size
        self.policy_network = self.build_network(self.observation_size + size, size)
        self.build_critic()
        noise = torch.randn(GREEDY_SAMPLES, size, generator=seeded_generator(0))
        self.register_buffer("greedy_noise", noise, persistent=False)

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return ["critic.target_networks", "critic.target_encoders"]

    @property
    def joint_action_size(self) -> int:
        """Length of the agent's own action and all opponents'."""
        return self.own_action_size + self.opponent_action_size

    def joint_latents(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Latent joint actions u, tanh(u) being the actions; the agent's own action comes first.

        Args:
            observations: encoded, (B, observation size).
            noise: standard normal, (B, N, joint action size).

        Returns:
            (B, N, joint action size).
        """
        repeated = observations.unsqueeze(-2).expand(*noise.shape[:-1], -1)
        return self.policy_network(torch.cat([repeated, noise], dim=-1))

    def joint_q(
        self,
        observations: Tensor,
        joint_actions: Tensor,
        opponents: Tensor,
        *,
        target: bool = False,
    ) -> Tensor:
        """Q of N joint actions.

        Args:
            observations: encoded, (B, observation size).
            joint_actions: (B, N, joint action size).
            opponents: 1 for each part of the opponents' actions that counts, broadcasting to
                (B, N, action size of all opponents).
            target: use the target Q-function.

        Returns:
            (B, N).
        """
        own = joint_actions[..., : self.own_action_size]
        others = joint_actions[..., self.own_action_size :] * opponents
        repeated = observations.unsqueeze(-2).expand(*joint_actions.shape[:-1], -1)
        return self.critic(repeated, own, others, target=target)

    def greedy_joint_actions(
        self, observations: Tensor, opponent_mask: Tensor | None = None
    ) -> Tensor:
        """The best of some joint actions, (B, joint action size).

        Args:
            observations: encoded, (B, observation size).
            opponent_mask: (B, opponents), see `act`.
        """
        noise = self.greedy_noise.expand(*observations.shape[:-1], -1, -1)
        actions = self.joint_latents(observations, noise).tanh()
        counted = actions.new_ones(1)
        if opponent_mask is not None:
            counted = self.opponents.action_mask(opponent_mask).unsqueeze(-2)
        best = self.joint_q(observations, actions, counted).argmax(-1, keepdim=True)
        index = best.unsqueeze(-1).expand(*best.shape, actions.shape[-1])
        return actions.gather(-2, index).squeeze(-2)

    def act(
        self,
        observations: Tensor,
        explore: bool,
        noise: Noise = GLOBAL_NOISE,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """The agent's own part of a joint action."""
        if explore:
            like = observations.new_empty(*observations.shape[:-1], 1, self.joint_action_size)
            joint = self.joint_latents(observations, noise.normal_like(like)).squeeze(-2).tanh()
        else:
            joint = self.greedy_joint_actions(observations, opponent_mask)
        return joint[..., : self.own_action_size]
