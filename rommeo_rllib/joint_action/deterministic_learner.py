"""What the learners of deterministic policies have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from ray.rllib.core.columns import Columns
from torch import Tensor, nn

from rommeo_rllib import objective
from rommeo_rllib.components import squash
from rommeo_rllib.joint_action.deterministic import (
    EXPLORATION_NOISE,
    DeterministicPolicy,
    exploration_schedule,
)
from rommeo_rllib.joint_action.encoding import to_env_units
from rommeo_rllib.joint_action.learner import JointActionLearner
from rommeo_rllib.joint_action.opponent_mask import OPPONENT_MASK
from rommeo_rllib.joint_action.policy import JointActionPolicy
from rommeo_rllib.joint_action.update import (
    POLICY_MEAN,
    Metrics,
    Update,
    mean_per_dimension,
)


class DeterministicLearner(JointActionLearner):
    """Owns what goes with a deterministic policy; a subclass supplies losses."""

    def target_networks(self, policy: JointActionPolicy) -> list[tuple[nn.Module, nn.Module]]:
        """The targets of Q and of the policy."""
        policy = cast(DeterministicPolicy, policy)
        return [*policy.critic.followed, (policy.policy_network, policy.target_policy_network)]

    def policy_loss(
        self, update: Update, observations: Tensor, q: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """What the policy minimises, a number a policy: -Q(s, mu(s)), and the saturation penalty.

        Args:
            update: the batch.
            observations: encoded, (B, observation size).
            q: from the policy's actions, (B, own action size), to their values, (B,).
        """
        policy = cast(DeterministicPolicy, update.policy)
        latent = policy.latent(observations, update.columns[OPPONENT_MASK])
        penalty = update.configs[0].saturation_penalty * latent.square().mean(-1)
        loss = objective.policy_loss(q(squash(policy.own_components, latent)))
        return (loss + penalty).mean(-1)

    def after_update(self, update: Update) -> None:
        """Moves the exploration noise on."""
        policy = cast(DeterministicPolicy, update.policy)
        policy.noise_scale.data.copy_(update.scheduled(exploration_schedule))

    def policy_metrics(self, update: Update) -> Metrics:
        """The noise's scale and the action, in the environment's own units."""
        policy = cast(DeterministicPolicy, update.policy)
        columns = update.columns
        actions = policy.mu(policy.encode(columns[Columns.OBS]), columns[OPPONENT_MASK])
        return {
            EXPLORATION_NOISE: policy.noise_scale.detach().clone(),
            **mean_per_dimension(POLICY_MEAN, to_env_units(policy.action_space, actions)),
        }
