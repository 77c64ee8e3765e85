"""ROMMEO-AC's policy: Q-function, conditional policy, opponent model and opponent prior."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from rommeo_rllib.components import action_size, all_actions, num_parameters, squash
from rommeo_rllib.distributions import ProductDistribution
from rommeo_rllib.joint_action.networks import Network
from rommeo_rllib.joint_action.policy import JointActionPolicy
from rommeo_rllib.noise import GLOBAL_NOISE, Noise

INITIAL_ALPHA = "initial_alpha"
"""Key of the model config: alpha before the first update, where it is learned."""

Q_LAYER_NORM = "q_layer_norm"
"""Key of the model config: whether the Q-network's hidden layers are normalised."""

MAX_COUNTED_ACTIONS = 64
"""Up to this many joint actions of the opponents, and as many own actions that are made of several
choices, are all considered; of more, samples are. A single choice is always counted."""


class ROMMEOPolicy(JointActionPolicy):
    """One agent's (or several like agents') networks.

    To act, it samples what the opponents will do from its opponent model, and answers that with its
    conditional policy (Algorithm 2). Greedy, it takes the mode of both.

    Attributes:
        all_opponent_actions: all joint actions of the opponents, (N, their action size), or None
            where they are continuous or too many.
        counts_own_actions: whether expectations over the own actions are exact; then the Q-network
            has an output for each.
        all_own_actions: where those are made of several choices, all of them, (N, own action size).
    """

    all_opponent_actions: Tensor | None
    all_own_actions: Tensor | None

    def setup(self) -> None:
        """Builds the networks; on env runners only those that act."""
        super().setup()
        own = num_parameters(self.own_components)
        opponents = num_parameters(self.opponent_components)
        own_actions = None
        if len(self.own_components) > 1:
            own_actions = all_actions(self.own_components, MAX_COUNTED_ACTIONS)
        self.register_buffer("all_own_actions", own_actions, persistent=False)
        is_choice = len(self.own_components) == 1 and self.own_components[0].kind == "discrete"
        self.counts_own_actions = is_choice or own_actions is not None
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

    @property
    def q_parameters(self) -> list[nn.Parameter]:
        """What the Q-function's loss trains: its network, and the encoder if there is one."""
        encoder = [] if self.encoder is None else list(self.encoder.parameters())
        return [*self.q_network.parameters(), *encoder]

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
                them at once, where they are counted.
            opponent_actions: (B, action size of all opponents).

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

    def target_entropy(self, per_dimension: float | None) -> float:
        """Nats that a learned alpha aims for: the sum over the action's dimensions.

        Without a choice of the user's, -1 a continuous dimension (Haarnoja et al. 2018b) and half
        of the greatest possible entropy for a discrete action.
        """
        choices = [c.size for c in self.own_components if c.kind == "discrete"]
        dimensions = action_size([c for c in self.own_components if c.kind != "discrete"])
        if per_dimension is not None:
            return per_dimension * (dimensions + len(choices))
        return sum(0.5 * math.log(options) for options in choices) - dimensions

    def act(
        self,
        observations: Tensor,
        explore: bool,
        noise: Noise = GLOBAL_NOISE,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """What the agent does, answering what it thinks the others will do."""
        opponent_model = self.opponent_model(observations)
        latent = opponent_model.rsample(noise) if explore else opponent_model.mode()
        opponents = squash(self.opponent_components, latent)
        if opponent_mask is not None:
            opponents = opponents * self.opponents.action_mask(opponent_mask)
        policy = self.policy(observations, opponents)
        return squash(self.own_components, policy.rsample(noise) if explore else policy.mode())

    def _build_q_network(self) -> Network:
        # One output for each of the actions that are listed, so that expectations over them are
        # exact and cost one pass.
        inputs = self.observation_size + self.opponent_action_size
        if not self.counts_own_actions:
            inputs, outputs = inputs + self.own_action_size, 1
        elif self.all_own_actions is not None:
            outputs = len(self.all_own_actions)
        else:
            outputs = self.own_action_size
        return self.build_network(inputs, outputs, layer_norm=self.model_config[Q_LAYER_NORM])
