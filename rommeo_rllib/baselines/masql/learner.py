"""The losses of MASQL: soft Q-learning on joint actions, with a sampler that learns by SVGD."""

from __future__ import annotations

from typing import cast

import torch
from ray.rllib.core.columns import Columns
from torch import Tensor

from rommeo_rllib.baselines.masql.energy import (
    sampled_soft_value,
    squashed_log_density,
    stein_direction,
)
from rommeo_rllib.baselines.masql.policy import MASQLPolicy
from rommeo_rllib.joint_action.encoding import to_env_units
from rommeo_rllib.joint_action.learner import JointActionLearner
from rommeo_rllib.joint_action.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.replay_columns import OPPONENT_ACTIONS
from rommeo_rllib.joint_action.update import (
    ALPHA,
    OPPONENT_MODEL_MEAN,
    POLICY_LOSS,
    POLICY_MEAN,
    Q_LOSS,
    Losses,
    Metrics,
    Update,
    mean_per_dimension,
)


class MASQLLearner(JointActionLearner):
    """Q by the soft Bellman error, the sampler by amortised Stein variational gradient descent.

    Shapes below leave out the leading axis that policies computed together have.
    """

    def losses(self, update: Update) -> Losses:
        """The Bellman error, and a loss whose gradient moves the sampler in Stein's direction."""
        policy, columns = cast(MASQLPolicy, update.policy), update.columns
        observations = policy.encode(columns[Columns.OBS])
        target = update.td_target(lambda: self._next_value(update))
        own, others = columns[Columns.ACTIONS], columns[OPPONENT_ACTIONS]
        return {
            Q_LOSS: policy.critic.loss(observations, own, others, target),
            # An encoder learns from the Q-function's loss alone.
            POLICY_LOSS: self._sampler_loss(update, observations.detach()),
        }

    def _next_value(self, update: Update) -> Tensor:
        """Soft value of the next state, of those opponents who act there."""
        policy, count = cast(MASQLPolicy, update.policy), update.configs[0].value_particles
        observations = policy.encode_for_target(update.columns[Columns.NEXT_OBS])
        like = observations.new_empty(*observations.shape[:-1], count, policy.joint_action_size)
        uniform = 2.0 * update.noise.uniform_like(like) - 1.0
        present = _opponents(update, NEXT_OPPONENT_MASK)
        q = policy.joint_q(observations, uniform, present, target=True)
        return sampled_soft_value(q, update.alpha(), policy.joint_action_size)

    def _sampler_loss(self, update: Update, observations: Tensor) -> Tensor:
        """Half of the particles stay fixed, towards which the others are moved (Eq. 13 and 14)."""
        policy, count = cast(MASQLPolicy, update.policy), update.configs[0].particles
        like = observations.new_empty(*observations.shape[:-1], count, policy.joint_action_size)
        latents = policy.joint_latents(observations, update.noise.normal_like(like))
        fixed, updated = latents.chunk(2, dim=-2)
        fixed = fixed.detach().requires_grad_()
        with policy.critic.frozen():
            q = policy.joint_q(observations, fixed.tanh(), _opponents(update, OPPONENT_MASK))
        log_density = squashed_log_density(q, update.alpha().unsqueeze(-1), fixed)
        (scores,) = torch.autograd.grad(log_density.sum(), fixed)
        direction = stein_direction(fixed.detach(), scores, updated.detach())
        return -(direction * updated).sum(-1).mean((-2, -1))

    def policy_metrics(self, update: Update) -> Metrics:
        """Alpha, and the best joint action in the environment's own units."""
        policy = cast(MASQLPolicy, update.policy)
        columns = update.columns
        joint = policy.greedy_joint_actions(
            policy.encode(columns[Columns.OBS]), columns[OPPONENT_MASK]
        )
        own, others = joint.tensor_split([policy.own_action_size], dim=-1)
        return {
            ALPHA: update.alpha().squeeze(-1),
            **mean_per_dimension(POLICY_MEAN, to_env_units(policy.action_space, own)),
            **mean_per_dimension(OPPONENT_MODEL_MEAN, policy.opponents.to_env_units(others)),
        }


def _opponents(update: Update, name: str) -> Tensor:
    """1 for what counts of the opponents' actions, (B, 1, action size of all opponents).

    Args:
        update: the batch.
        name: of the column that says who acts, now or at the next step.
    """
    return update.policy.opponents.action_mask(update.columns[name]).unsqueeze(-2)
