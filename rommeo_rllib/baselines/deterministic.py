"""Deterministic policies with exploration noise: what DDPG's family and PR2-AC have in common.

The policy is the squashed output of a network; to explore, Gaussian noise is added to the action.
Its scale follows a schedule in env steps. It is a parameter of the module that the learner sets at
each update, so that env runners get it with the weights and checkpoints hold it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Annotated, Any, cast

import torch
from ray.rllib.core.columns import Columns
from torch import Tensor, nn
from typing_extensions import Self

from rommeo_rllib import objective
from rommeo_rllib.checks import NOT_NEGATIVE
from rommeo_rllib.components import squash
from rommeo_rllib.joint_action.config import JointActionConfig
from rommeo_rllib.joint_action.learner import JointActionLearner
from rommeo_rllib.joint_action.modules.joint_q import JointQPolicy
from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.settings.options import PER_POLICY, STACKED, options, schedule
from rommeo_rllib.joint_action.spaces.encoding import to_env_units
from rommeo_rllib.joint_action.spaces.opponent_mask import OPPONENT_MASK
from rommeo_rllib.joint_action.update import (
    POLICY_MEAN,
    Metrics,
    Update,
    mean_per_dimension,
)
from rommeo_rllib.rng import GLOBAL_RNG, Rng
from rommeo_rllib.schedules import ScheduleSpec, make_schedule

INITIAL_NOISE = "initial_noise"
"""Key of the model config: scale of the exploration noise before the first update."""

EXPLORATION_NOISE = "exploration_noise"


class DeterministicConfig(JointActionConfig):
    """Configuration of algorithms with deterministic policies; all actions must be Box."""

    @options
    def training(
        self,
        *,
        exploration_noise: Annotated[ScheduleSpec, schedule, STACKED] = 0.1,
        saturation_penalty: Annotated[float, NOT_NEGATIVE, PER_POLICY] = 1e-3,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            exploration_noise: standard deviation of the Gaussian noise that is added to explore,
                where actions span [-1, 1]: a number, or a schedule as ROMMEO-AC's alpha has it, in
                env steps. Before the first update it stays at its initial value.
            saturation_penalty: weight of the mean square of the actions before they are squashed,
                in units of the reward; it keeps the policy from getting stuck at the bounds. The
                default is that of MADDPG's authors' program.
            **kwargs: what :meth:`JointActionConfig.training` takes.

        Raises:
            ValueError: for an unknown key; it names the nearest right one.
        """
        return super().training(**kwargs)

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        noise = make_schedule(self.exploration_noise, EXPLORATION_NOISE, allow_zero=True)
        return super()._model_config_auto_includes | {INITIAL_NOISE: noise.value(0)}


class DeterministicPolicy(JointQPolicy):
    """A policy mu(s), its target, and a Q-function.

    Attributes:
        noise_scale: standard deviation of the exploration noise, () or, stacked, (policies,).
    """

    ACTION_KINDS = frozenset({"continuous"})

    def setup(self) -> None:
        """Builds the networks; on env runners only those that act."""
        super().setup()
        self.policy_network = self.build_network(self.policy_input_size, self.own_action_size)
        initial = torch.tensor(float(self.model_config[INITIAL_NOISE]))
        self.noise_scale = nn.Parameter(initial, requires_grad=False)
        if not self.inference_only:
            self.target_policy_network = copy.deepcopy(self.policy_network).requires_grad_(False)
            self.build_critic()

    def get_non_inference_attributes(self) -> list[str]:
        """What an env runner does not need."""
        return [*super().get_non_inference_attributes(), "target_policy_network"]

    @property
    def policy_input_size(self) -> int:
        """Length of what the policy sees."""
        return self.observation_size

    def policy_inputs(self, observations: Tensor, opponent_mask: Tensor | None = None) -> Tensor:
        """What the policy sees, (B, policy input size).

        Args:
            observations: encoded, (B, observation size).
            opponent_mask: (B, opponents), see `act`.
        """
        return observations

    def latent(
        self,
        observations: Tensor,
        opponent_mask: Tensor | None = None,
        *,
        target: bool = False,
    ) -> Tensor:
        """The action before it is squashed, (B, own action size); arguments as for `mu`."""
        network = self.target_policy_network if target else self.policy_network
        return network(self.policy_inputs(observations, opponent_mask))

    def mu(
        self,
        observations: Tensor,
        opponent_mask: Tensor | None = None,
        *,
        target: bool = False,
    ) -> Tensor:
        """The action, without noise, (B, own action size).

        Args:
            observations: encoded, (B, observation size).
            opponent_mask: (B, opponents), see `act`.
            target: use the target network.
        """
        return squash(self.own_components, self.latent(observations, opponent_mask, target=target))

    def act(
        self,
        observations: Tensor,
        explore: bool,
        rng: Rng = GLOBAL_RNG,
        opponent_mask: Tensor | None = None,
    ) -> Tensor:
        """What the agent does; to explore, with noise added, within the bounds."""
        actions = self.mu(observations, opponent_mask)
        if not explore:
            return actions
        scale = self.noise_scale.unsqueeze(-1).unsqueeze(-1)
        return (actions + scale * rng.normal_like(actions)).clamp(-1.0, 1.0)


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
        policy.noise_scale.data.copy_(update.scheduled(EXPLORATION_NOISE))

    def policy_metrics(self, update: Update) -> Metrics:
        """The noise's scale and the action, in the environment's own units."""
        policy = cast(DeterministicPolicy, update.policy)
        columns = update.columns
        actions = policy.mu(policy.encode(columns[Columns.OBS]), columns[OPPONENT_MASK])
        return {
            EXPLORATION_NOISE: policy.noise_scale.detach().clone(),
            **mean_per_dimension(POLICY_MEAN, to_env_units(policy.action_space, actions)),
        }
