"""DDPG and its multi-agent relatives.

Independent DDPG (Lillicrap et al. 2016, Eq. 4-6), with the others' actions in Q (DDPG-OM, Tian et
al. 2019, Section 5), and with everybody's observations and target actions besides (MADDPG, Lowe et
al. 2017, Eq. 6-7). DDPG's learner is the base class; each of the others says what it puts for the
opponents.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from torch import Tensor
from typing_extensions import Self

from rommeo_rllib.baselines.central_critic import (
    CentralCriticPolicy,
    opponents_observed,
    seen_by_critic,
)
from rommeo_rllib.baselines.deterministic import (
    DeterministicConfig,
    DeterministicLearner,
    DeterministicPolicy,
)
from rommeo_rllib.checks import count
from rommeo_rllib.components import squash
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.replay.columns import (
    OPPONENT_ACTIONS,
    RECENT,
)
from rommeo_rllib.joint_action.settings.options import LearningRate, options
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
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


class DDPGPolicy(DeterministicPolicy):
    """mu(s) and Q(s, a): the others are part of the environment."""

    @property
    def critic_opponent_size(self) -> int:
        """The Q-function sees nothing of the opponents' actions."""
        return 0


class MADDPGPolicy(CentralCriticPolicy, DeterministicPolicy):
    """mu(s) and Q(x, a, o), x being what all agents observe."""


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

    def answer(self, observations: Tensor, opponents: Tensor, *, target: bool = False) -> Tensor:
        """The action, given the opponents' actions, (B, own action size).

        Args:
            observations: encoded, (B, observation size).
            opponents: (B, their action size).
            target: use the target network.
        """
        network = self.target_policy_network if target else self.policy_network
        return squash(self.own_components, network(torch.cat([observations, opponents], dim=-1)))

    def opponent_model(self, observations: Tensor) -> Tensor:
        """The opponents' predicted actions: (B, observation size) -> (B, their action size)."""
        return squash(self.opponent_components, self.opponent_model_network(observations))


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
        q_loss = update.q_loss(state, columns[Columns.ACTIONS], stored, target)
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
        return seen_by_critic(update, observations, name)

    def stored_opponents(self, update: Update) -> Tensor:
        """The replay's actions."""
        return update.columns[OPPONENT_ACTIONS]

    def next_opponents(self, update: Update) -> Tensor:
        """The actions of the target policies of those opponents who act at the next step."""
        assert update.opponents is not None
        actions = update.opponents.answers(
            opponents_observed(update, Columns.NEXT_OBS), _target_action
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
            observations = policy.encode(columns[RECENT + Columns.OBS])
        predicted = policy.opponent_model(observations)
        mask = policy.opponents.action_mask(columns[RECENT + OPPONENT_MASK])
        error = 0.5 * (predicted - columns[RECENT + OPPONENT_ACTIONS]).square() * mask
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


class DDPGConfig(DeterministicConfig):
    """Configuration of independent DDPG learners."""

    POLICY_CLASS = DDPGPolicy
    LEARNER_CLASS = DDPGLearner

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or DDPG)


class DDPG(JointActionAlgorithm):
    """Deep deterministic policy gradient, independent learners (Lillicrap et al. 2016)."""

    config: DDPGConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`DDPGConfig`."""
        return DDPGConfig()


class MADDPGConfig(DeterministicConfig):
    """Configuration of MADDPG; `policy_mapping_fn` must go by agent ids alone."""

    POLICY_CLASS = MADDPGPolicy
    LEARNER_CLASS = MADDPGLearner

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or MADDPG)


class MADDPG(JointActionAlgorithm):
    """Multi-agent DDPG: central Q-functions, decentral policies (Lowe et al. 2017)."""

    config: MADDPGConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`MADDPGConfig`."""
        return MADDPGConfig()


class DDPGOMConfig(DeterministicConfig):
    """Configuration of DDPG with an opponent model."""

    POLICY_CLASS = DDPGOMPolicy
    LEARNER_CLASS = DDPGOMLearner

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or DDPGOM)

    @options
    def training(
        self,
        *,
        opponent_model_lr: LearningRate = 3e-4,
        opponent_window: Annotated[int, count()] = 512,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            opponent_model_lr: learning rate of the opponent model.
            opponent_window: the opponent model is fitted to this many most recent env steps.
            **kwargs: what :meth:`DeterministicConfig.training` takes.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        return super().training(**kwargs)

    @property
    def recent_window(self) -> int | None:
        """Env steps that the opponent model is fitted to."""
        return self.opponent_window


class DDPGOM(JointActionAlgorithm):
    """DDPG with an opponent model trained online with supervision (Tian et al. 2019, Section 5)."""

    config: DDPGOMConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`DDPGOMConfig`."""
        return DDPGOMConfig()
