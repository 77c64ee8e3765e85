"""The losses of DDPG's family.

Independent DDPG (Lillicrap et al. 2016, Eq. 4-6), with the others' actions in Q (DDPG-OM), and with
everybody's observations and target actions besides (MADDPG, Lowe et al. 2017, Eq. 6-7). What the
three have in common is the base class; each of the others says what it puts for the opponents.
"""

from __future__ import annotations

from typing import cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from torch import Tensor

from rommeo_rllib.baselines.maddpg.policy import DDPGOMPolicy, MADDPGPolicy
from rommeo_rllib.joint_action.deterministic import DeterministicPolicy
from rommeo_rllib.joint_action.deterministic_learner import DeterministicLearner
from rommeo_rllib.joint_action.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.policy import JointActionPolicy
from rommeo_rllib.joint_action.replay_columns import (
    OPPONENT_ACTIONS,
    PRIOR,
    opponent_column,
)
from rommeo_rllib.joint_action.update import (
    OPPONENT_MODEL_LOSS,
    OPPONENT_MODEL_MEAN,
    POLICY_LOSS,
    Q_LOSS,
    Losses,
    Metrics,
    TrainedParameters,
    Update,
    mean_per_dimension,
    opponent_model_parameters,
)


class DDPGLearner(DeterministicLearner):
    """Deep deterministic policy gradient, each agent on its own.

    Shapes below leave out the leading axis that policies computed together have.
    """

    def critic_observations(self, update: Update, observations: Tensor, name: str) -> Tensor:
        """What Q sees of the state, (B, critic observation size).

        Args:
            update: the batch.
            observations: the agent's own, encoded, (B, observation size).
            name: of their column, obs or new_obs.
        """
        return observations

    def stored_opponents(self, update: Update) -> Tensor:
        """What Q sees of what the opponents did, (B, critic opponent size)."""
        return update.columns[OPPONENT_ACTIONS][..., :0]

    def present_opponents(self, update: Update) -> Tensor:
        """The same where the policy is improved."""
        return self.stored_opponents(update)

    def next_opponents(self, update: Update) -> Tensor:
        """The same at the next step, of those who act there."""
        return self.stored_opponents(update)

    def next_action(self, update: Update, observations: Tensor, opponents: Tensor) -> Tensor:
        """What the target policy does at the next step, (B, own action size).

        Args:
            update: the batch.
            observations: the agent's next ones, as target networks see them.
            opponents: what `next_opponents` says, (B, critic opponent size).
        """
        return cast(DeterministicPolicy, update.policy).mu(observations, target=True)

    def losses(self, update: Update) -> Losses:
        """Q by the Bellman error, the policy by Q's gradient with regard to the action."""
        policy, columns = cast(DeterministicPolicy, update.policy), update.columns
        observations = policy.encode(columns[Columns.OBS])
        state = self.critic_observations(update, observations, Columns.OBS)
        target = update.td_target(lambda: self._next_value(update))
        stored = self.stored_opponents(update)
        q_loss = policy.critic.loss(state, columns[Columns.ACTIONS], stored, target)
        others = self.present_opponents(update)
        # An encoder learns from the Q-function's loss alone.
        fixed = state.detach()
        with policy.critic.frozen():
            policy_loss = self.policy_loss(
                update, observations.detach(), lambda own: policy.critic(fixed, own, others)
            )
        return {Q_LOSS: q_loss, POLICY_LOSS: policy_loss}

    def _next_value(self, update: Update) -> Tensor:
        policy = cast(DeterministicPolicy, update.policy)
        observations = policy.encode_for_target(update.columns[Columns.NEXT_OBS])
        others = self.next_opponents(update)
        own = self.next_action(update, observations, others)
        state = self.critic_observations(update, observations, Columns.NEXT_OBS)
        return policy.critic(state, own, others, target=True)


class MADDPGLearner(DDPGLearner):
    """MADDPG: the opponents' actions are the replay's, and at the next state those of their own
    target policies.
    """

    def critic_observations(self, update: Update, observations: Tensor, name: str) -> Tensor:
        """Everybody's observations, of those who act."""
        is_next = name == Columns.NEXT_OBS
        mask = update.columns[NEXT_OPPONENT_MASK if is_next else OPPONENT_MASK]
        policy = cast(MADDPGPolicy, update.policy)
        others = _opponents_observed(update, name)
        return policy.joint_observations(observations, others, mask, target=is_next)

    def stored_opponents(self, update: Update) -> Tensor:
        """The replay's actions."""
        return update.columns[OPPONENT_ACTIONS]

    def next_opponents(self, update: Update) -> Tensor:
        """The actions of the target policies of those opponents who act at the next step."""
        assert update.opponents is not None
        actions = update.opponents.answers(
            _opponents_observed(update, Columns.NEXT_OBS), _target_action
        )
        return actions * update.policy.opponents.action_mask(update.columns[NEXT_OPPONENT_MASK])


class DDPGOMLearner(DDPGLearner):
    """DDPG with an opponent model, trained on the latest behaviour."""

    def trained_parameters(
        self, policy: JointActionPolicy, config: AlgorithmConfig
    ) -> dict[str, TrainedParameters]:
        """The opponent model besides."""
        return super().trained_parameters(policy, config) | opponent_model_parameters(
            policy, config
        )

    def stored_opponents(self, update: Update) -> Tensor:
        """The replay's actions."""
        return update.columns[OPPONENT_ACTIONS]

    def present_opponents(self, update: Update) -> Tensor:
        """The actions that the model predicts."""
        return self._predicted(update, Columns.OBS, OPPONENT_MASK)

    def next_opponents(self, update: Update) -> Tensor:
        """The actions that the model predicts of those who act at the next step."""
        return self._predicted(update, Columns.NEXT_OBS, NEXT_OPPONENT_MASK)

    def next_action(self, update: Update, observations: Tensor, opponents: Tensor) -> Tensor:
        """The target policy's answer to what the model, which has no target, predicts."""
        policy = cast(DDPGOMPolicy, update.policy)
        return policy.answer(observations, opponents, target=True)

    @torch.no_grad()
    def _predicted(self, update: Update, observed: str, mask: str) -> Tensor:
        policy, columns = cast(DDPGOMPolicy, update.policy), update.columns
        actions = policy.opponent_model(policy.encode(columns[observed]))
        return actions * policy.opponents.action_mask(columns[mask])

    def losses(self, update: Update) -> Losses:
        """The model's besides: half of the squared error on the latest actions."""
        policy, columns = cast(DDPGOMPolicy, update.policy), update.columns
        with torch.no_grad():
            observations = policy.encode(columns[PRIOR + Columns.OBS])
        predicted = policy.opponent_model(observations)
        mask = policy.opponents.action_mask(columns[PRIOR + OPPONENT_MASK])
        error = 0.5 * (predicted - columns[PRIOR + OPPONENT_ACTIONS]).square() * mask
        return super().losses(update) | {OPPONENT_MODEL_LOSS: error.sum(-1).mean(-1)}

    def policy_metrics(self, update: Update) -> Metrics:
        """What the model predicts besides."""
        policy = cast(DDPGOMPolicy, update.policy)
        predicted = policy.opponent_model(policy.encode(update.columns[Columns.OBS]))
        means = mean_per_dimension(OPPONENT_MODEL_MEAN, policy.opponents.to_env_units(predicted))
        return super().policy_metrics(update) | means


def _target_action(policy: JointActionPolicy, observations: Tensor) -> Tensor:
    """What the target policy of an opponent does, given its observations, not encoded."""
    policy = cast(MADDPGPolicy, policy)
    return policy.mu(policy.encode_for_target(observations), target=True)


def _opponents_observed(update: Update, name: str) -> list[Tensor]:
    """Each opponent's observations as they are stored; `name` is obs or new_obs."""
    numbers = range(len(update.policy.opponents.action_spaces))
    return [update.columns[opponent_column(name, number)] for number in numbers]
