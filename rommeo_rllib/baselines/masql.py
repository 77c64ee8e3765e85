"""MASQL: multi-agent soft Q-learning (Wei et al. 2018).

Each agent learns Q of the joint action, and a network that samples joint actions by it, which is
trained by amortised Stein variational gradient descent. Shapes below leave out the leading axis
that policies computed together have.
"""

from __future__ import annotations

from typing import Annotated, Any, cast

import torch
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.columns import Columns
from torch import Tensor
from typing_extensions import Self

from rommeo_rllib.baselines.energy import (
    sampled_soft_value,
    squashed_log_density,
    stein_direction,
)
from rommeo_rllib.checks import Check, count
from rommeo_rllib.joint_action.algorithm import JointActionAlgorithm
from rommeo_rllib.joint_action.config import JointActionConfig
from rommeo_rllib.joint_action.learner import JointActionLearner
from rommeo_rllib.joint_action.modules.joint_q import JointQPolicy
from rommeo_rllib.joint_action.replay.columns import OPPONENT_ACTIONS
from rommeo_rllib.joint_action.settings.options import (
    PER_POLICY,
    STACKED,
    options,
    positive_schedule,
)
from rommeo_rllib.joint_action.spaces.encoding import to_env_units
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
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
from rommeo_rllib.rng import GLOBAL_RNG, Rng, seeded_generator
from rommeo_rllib.schedules import ScheduleSpec

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
        generator = seeded_generator(0)
        noise = torch.randn(GREEDY_SAMPLES, size, generator=generator, device=generator.device)
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
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """The agent's own part of a joint action."""
        if explore:
            like = observations.new_empty(*observations.shape[:-1], 1, self.joint_action_size)
            joint = self.joint_latents(observations, rng.normal_like(like)).squeeze(-2).tanh()
        else:
            joint = self.greedy_joint_actions(observations, opponent_mask)
        return joint[..., : self.own_action_size]


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
            Q_LOSS: update.q_loss(observations, own, others, target),
            # An encoder learns from the Q-function's loss alone.
            POLICY_LOSS: self._sampler_loss(update, observations.detach()),
        }

    def _next_value(self, update: Update) -> Tensor:
        """Soft value of the next state, of those opponents who act there."""
        policy, count = cast(MASQLPolicy, update.policy), update.configs[0].value_particles
        observations = policy.encode_for_target(update.columns[Columns.NEXT_OBS])
        like = observations.new_empty(*observations.shape[:-1], count, policy.joint_action_size)
        uniform = 2.0 * update.rng.uniform_like(like) - 1.0
        present = _opponents(update, NEXT_OPPONENT_MASK)
        q = policy.joint_q(observations, uniform, present, target=True)
        return sampled_soft_value(q, update.scheduled_for_rows(ALPHA), policy.joint_action_size)

    def _sampler_loss(self, update: Update, observations: Tensor) -> Tensor:
        """Half of the particles stay fixed, towards which the others are moved (Eq. 13 and 14)."""
        policy, count = cast(MASQLPolicy, update.policy), update.configs[0].particles
        like = observations.new_empty(*observations.shape[:-1], count, policy.joint_action_size)
        latents = policy.joint_latents(observations, update.rng.normal_like(like))
        fixed, updated = latents.chunk(2, dim=-2)
        fixed = fixed.detach().requires_grad_()
        with policy.critic.frozen():
            q = policy.joint_q(observations, fixed.tanh(), _opponents(update, OPPONENT_MASK))
        log_density = squashed_log_density(q, update.scheduled_for_rows(ALPHA).unsqueeze(-1), fixed)
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
            ALPHA: update.scheduled(ALPHA),
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


_EVEN = Check(lambda value: value % 2 == 0, "an even number")


class MASQLConfig(JointActionConfig):
    """Configuration of MASQL; its policy, which learns by `policy_lr`, is the sampler."""

    POLICY_CLASS = MASQLPolicy
    LEARNER_CLASS = MASQLLearner

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or MASQL)

    @options
    def training(
        self,
        *,
        alpha: Annotated[ScheduleSpec, positive_schedule, STACKED] = 1.0,
        particles: Annotated[int, count(least=2), _EVEN, PER_POLICY] = 16,
        value_particles: Annotated[int, count(), PER_POLICY] = 16,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            alpha: temperature of the joint policy, in units of the reward: a number or a schedule
                in env steps, as ROMMEO-AC's.
            particles: joint actions sampled for each row to train the sampler; an even number.
            value_particles: joint actions by which a next state's soft value is estimated.
            **kwargs: what :meth:`JointActionConfig.training` takes.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        return super().training(**kwargs)


class MASQL(JointActionAlgorithm):
    """Multi-agent soft Q-learning (Wei et al. 2018)."""

    config: MASQLConfig

    @classmethod
    def get_default_config(cls) -> AlgorithmConfig:
        """A :class:`MASQLConfig`."""
        return MASQLConfig()
