"""ROMMEO-AC's policy: Q-function, conditional policy, opponent model and opponent prior."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from rommeo_rllib.distributions import (
    ProductDistribution,
    all_actions,
    num_parameters,
    squash,
)
from rommeo_rllib.joint_action.networks import Network
from rommeo_rllib.joint_action.policy import JointActionPolicy
from rommeo_rllib.noise import GLOBAL_NOISE, Noise

INITIAL_ALPHA = "initial_alpha"
"""Key of the model config: alpha before the first update, where it is learned."""

Q_LAYER_NORM = "q_layer_norm"
"""Key of the model config: whether the Q-network's hidden layers are normalised."""

MAX_COUNTED_ACTIONS = 64
"""Up to this many joint actions of the opponents are all considered; more are sampled."""


class ROMMEOPolicy(JointActionPolicy):
    """One agent's (or several like agents') networks.

    To act, it samples what the opponents will do from its opponent model, and answers that with its
    conditional policy (Algorithm 2). Greedy, it takes the mode of both.

    Attributes:
        all_opponent_actions: all joint actions of the opponents, (N, their action size), or None
            where they are continuous or too many.
    """

    all_opponent_actions: Tensor | None

    def setup(self) -> None:
        """Builds the networks; on env runners only those that act."""
        super().setup()
        own = num_parameters(self.own_components)
        opponents = num_parameters(self.opponent_components)
        self.policy_network = self.build_network(
            self.observation_size + self.opponent_action_size, own
        )
        self.opponent_model_network = self.build_network(self.observation_size, opponents)
        # Expectations over the opponents' actions are exact where these are few.
        self.register_buffer(
            "all_opponent_actions",
            all_actions(self.opponent_components, MAX_COUNTED_ACTIONS),
            persistent=False,
        )
        if self.inference_only:
            return
        self.opponent_prior_network = self.build_network(self.observation_size, opponents)
        self.q_network = self._build_q_network()
        self.target_q_network = copy.deepcopy(self.q_network).requires_grad_(False)
        # A parameter of the module, so that it is saved with it and equal on all learners.
        self.log_alpha = nn.Parameter(torch.tensor(math.log(self.model_config[INITIAL_ALPHA])))

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return ["opponent_prior_network", "q_network", "target_q_network", "log_alpha"]

    def policy(self, observations: Tensor, opponent_actions: Tensor) -> ProductDistribution:
        """The conditional policy pi(a | s, o).

        Args:
            observations: encoded, (B, observation size).
            opponent_actions: (B, action size of all opponents).
        """
        parameters = self.policy_network(torch.cat([observations, opponent_actions], dim=-1))
        return ProductDistribution(self.own_components, parameters)

    def opponent_model(self, observations: Tensor) -> ProductDistribution:
        """The opponent model rho(o | s), independent opponents."""
        parameters = self.opponent_model_network(observations)
        return ProductDistribution(self.opponent_components, parameters)

    def opponent_prior(
        self, observations: Tensor, uniform_weight: float = 0.0
    ) -> ProductDistribution:
        """The opponent prior P(o | s), each component mixed with `uniform_weight` of uniform."""
        parameters = self.opponent_prior_network(observations)
        return ProductDistribution(self.opponent_components, parameters, uniform_weight)

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
            observations: encoded, (B, observation size).
            own_actions: (B, own action size), a one-hot for a discrete action; None for all of
                a discrete agent's actions at once.
            opponent_actions: (B, action size of all opponents).

        Returns:
            (B,), or (B, own actions) if `own_actions` is None.
        """
        network = self.target_q_network if target else self.q_network
        if self.acts_discretely:
            q_values = network(torch.cat([observations, opponent_actions], dim=-1))
            return q_values if own_actions is None else (q_values * own_actions).sum(-1)
        assert own_actions is not None
        inputs = torch.cat([observations, own_actions, opponent_actions], dim=-1)
        return network(inputs).squeeze(-1)

    def target_entropy(self, per_dimension: float | None) -> float:
        """Nats that a learned alpha aims for: the sum over the action's dimensions.

        Without a choice of the user's, -1 a continuous dimension (Haarnoja et al. 2018b) and half
        of the greatest possible entropy for a discrete action.
        """
        (component,) = self.own_components
        dimensions = component.size if component.kind == "continuous" else 1
        if per_dimension is not None:
            return per_dimension * dimensions
        return -dimensions if component.kind == "continuous" else 0.5 * math.log(component.size)

    def act(self, observations: Tensor, explore: bool, noise: Noise = GLOBAL_NOISE) -> Tensor:
        """What the agent does, answering what it thinks the others will do."""
        opponent_model = self.opponent_model(observations)
        latent = opponent_model.rsample(noise) if explore else opponent_model.mode()
        policy = self.policy(observations, squash(self.opponent_components, latent))
        return squash(self.own_components, policy.rsample(noise) if explore else policy.mode())

    def _build_q_network(self) -> Network:
        # One output for each of a discrete agent's actions, so that expectations over them are
        # exact and cost one pass.
        inputs, outputs = self.observation_size + self.opponent_action_size, self.own_action_size
        if not self.acts_discretely:
            inputs, outputs = inputs + self.own_action_size, 1
        return self.build_network(inputs, outputs, layer_norm=self.model_config[Q_LAYER_NORM])
