"""The configuration that all off-policy algorithms here share."""

from __future__ import annotations

import copy
import secrets
import zlib
from collections.abc import Mapping
from typing import Annotated, Any

import gymnasium as gym
from ray.rllib.connectors.common.frame_stacking import FrameStacking
from ray.rllib.connectors.connector_v2 import ConnectorV2
from ray.rllib.connectors.env_to_module import AddObservationsFromEpisodesToBatch
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from typing_extensions import Self

from rommeo_rllib.checks import (
    COUNT_OR_RANGE,
    FLAG,
    MOST_COPIES,
    POSITIVE,
    Check,
    count,
    is_finite_number,
    one_of,
)
from rommeo_rllib.joint_action.modules.critic import Q_LAYER_NORM, TWIN_Q, TWIN_Q_CHOICES
from rommeo_rllib.joint_action.modules.policy import (
    INIT_KEY,
    OPPONENTS,
    RANDOM_WARM_UP,
    JointActionPolicy,
)
from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer
from rommeo_rllib.joint_action.replay.memory_needed import check_replay_fits
from rommeo_rllib.joint_action.replay.prioritized import BYTES_OF_PRIORITIES, prioritized
from rommeo_rllib.joint_action.replay.storage import BYTES_OF_LINKS
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.joint_action.settings import model_settings, per_policy
from rommeo_rllib.joint_action.settings.options import PER_POLICY, LearningRate, options
from rommeo_rllib.joint_action.settings.refusals import refuse_unknown_policy, warn_of_action_masks
from rommeo_rllib.joint_action.settings.strict_config import StrictConfig
from rommeo_rllib.joint_action.spaces.agents import (
    AgentID,
    OpponentGroups,
    agent_action_spaces,
    agent_observation_spaces,
    central_opponents,
    check_agents_of_policy,
    opponents_by_agent,
    reject_other_kinds,
    shared_opponents,
)
from rommeo_rllib.joint_action.spaces.encoding import observation_size
from rommeo_rllib.joint_action.spaces.opponent_mask import AddOpponentMask
from rommeo_rllib.joint_action.spaces.replicas import replica_id, split_id
from rommeo_rllib.naming import shown
from rommeo_rllib.rllib_boundary import configs
from rommeo_rllib.rllib_boundary.episodes import mend_filters

IN_0_1 = Check(lambda value: is_finite_number(value) and 0 < value <= 1, "a number in (0, 1]")


def _priorities(name: str, value: Any) -> None:
    prioritized(value, name)


_groups = Check(
    lambda groups: (
        groups is None
        or (
            isinstance(groups, Mapping)
            and all(isinstance(group, list | tuple | set | frozenset) for group in groups.values())
        )
    ),
    "None, or a dict from an agent to a list of the agents that it models",
)


class JointActionConfig(StrictConfig):
    """Off-policy learning from joint transitions, on RLlib's new API stack.

    Defaults are meant for any game; a game's own settings belong into a tuned configuration.
    """

    POLICY_CLASS: type[JointActionPolicy]
    """The module of each policy, unless the user gives another."""

    LEARNER_CLASS: type
    """The learner."""

    PER_POLICY_KEYS = frozenset({"gamma", "grad_clip", "grad_clip_by"})

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class)
        self.exploration_config: dict[str, Any] = {}
        self.gamma = 0.99
        self.train_batch_size_per_learner = 256
        self.grad_clip = None
        self.rollout_fragment_length = 1
        self.env_runner_cls = JointActionEnvRunner
        # Before an episode has ended there is no return to report, which breaks schedulers such as
        # ASHA and PBT: the first iteration should be longer than an episode.
        self.min_sample_timesteps_per_iteration = 1_000

    @options
    def training(
        self,
        *,
        q_lr: LearningRate = 3e-4,
        policy_lr: LearningRate = 3e-4,
        q_layer_norm: Annotated[bool, FLAG] = True,
        twin_q: Annotated[bool | str, one_of(TWIN_Q_CHOICES)] = False,
        tau: Annotated[float, IN_0_1, PER_POLICY] = 0.005,
        updates_per_env_step: Annotated[float, POSITIVE] = 1.0,
        num_steps_sampled_before_learning_starts: Annotated[int, count(least=0)] = 1_000,
        random_warm_up: Annotated[bool, FLAG] = False,
        replay_capacity: Annotated[int, count()] = 100_000,
        replay_priorities: Annotated[bool | Mapping[str, Any], _priorities] = False,
        n_step: Annotated[int | tuple[int, int], COUNT_OR_RANGE] = 1,
        store_buffer_in_checkpoints: Annotated[bool, FLAG] = True,
        replicas: Annotated[int, count(most=MOST_COPIES)] = 1,
        fast_sampling: Annotated[bool, FLAG] = True,
        average_metrics: Annotated[bool, FLAG] = False,
        opponent_groups: Annotated[OpponentGroups | None, _groups] = None,
        max_sampling_lag: Annotated[int, count(least=0)] = 0,
        # Longer than any step takes, shorter than a night.
        env_time_limit_s: Annotated[float | None, POSITIVE.or_none()] = 600.0,
        **kwargs: Any,
    ) -> Self:
        """Sets what concerns training.

        Args:
            q_lr: learning rate of the Q-function: a number or a schedule over env steps, see
                `rommeo_rllib.schedules.make_schedule`.
            policy_lr: learning rate of the policy, in the same form.
            q_layer_norm: normalise the layers of the Q-network. Without it a Q-function fits large
                rewards too slowly (see docs/deviations.md).
            twin_q: two Q-networks instead of one, of which the smaller value counts (True or
                "minimum", as in SAC) or the mean of both ("mean").
            tau: how far a target network moves towards its network at each update, in (0, 1].
            updates_per_env_step: gradient steps of every policy for each env step sampled; may be
                below 1.
            num_steps_sampled_before_learning_starts: env steps in the replay buffer before the
                first update.
            random_warm_up: whether agents explore by uniformly random actions until their first
                update, instead of what their untrained networks say.
            replay_capacity: env steps that the replay buffer keeps.
            replay_priorities: draw transitions in proportion to (their TD error) ** alpha, and
                weigh them in Q's loss by (the probability of that) ** -beta: True for
                {"alpha": 0.6, "beta": 0.4}, or a dict of these, in which beta may be a schedule.
                False draws uniformly.
            n_step: how many of an agent's own steps Q's targets look ahead: the discounted sum of
                so many rewards, and the value of the state after them; or (least, most), of which
                each row of a batch draws its own. Those steps were made by older policies, which is
                not corrected for, and the entropy and divergence of the steps in between do not
                count.
            store_buffer_in_checkpoints: whether a checkpoint holds the replay buffer, so that a
                restored run goes on as the uninterrupted one would.
            replicas: independent copies of the game and its agents in this one trial, computed
                together; copy r is what a trial with a seed r higher would be. Env steps are those
                of one copy. Results come as lists, an entry a copy, under `env_runners/replicas`
                and `learners/replicas`; the policies of copy r are called "policy@r", and
                `algorithm_config_overrides_per_module` may give each its own `alpha` and
                `kl_coeff`.
            fast_sampling: whether env runners may skip RLlib's episodes and connectors where the
                configuration has no callbacks and connectors of its own. Joint steps are the same,
                but for rounding: a product of matrices may round otherwise for another number of
                rows.
            average_metrics: whether what learners report beside the losses (entropies, means of
                policies and opponent models) is the mean over all updates since the last report,
                each measured before its gradient step, instead of the latest update's. It costs
                another pass through the networks an update, which draws random numbers, too.
            opponent_groups: for some agents, whom each of them models, for example
                {"agent_0": ["agent_1"], "agent_1": ["agent_0"]}; all other agents are then part of
                the world to it. An agent that is not named models everybody else.
            max_sampling_lag: above 0, remote env runners sample while the learner learns, with
                weights that are at most this many env steps old, and a fragment of each env
                runner; runs are then not repeatable. At 0 they wait for the latest weights.
            env_time_limit_s: seconds after which a step or reset of an environment that hangs
                fails; None for no limit.
            **kwargs: of RLlib's own `AlgorithmConfig.training()` `gamma`,
                `train_batch_size_per_learner`, `grad_clip`, `grad_clip_by`, `learner_class` and
                `learner_config_dict`; and of its algorithms' settings those with an equivalent:
                `actor_lr`, `critic_lr`, `training_intensity` (trained rows for each env step
                sampled), the capacity in `replay_buffer_config`. All others of RLlib's settings
                are told at validation, with what to do instead.

        Raises:
            ValueError: for a key that nobody knows; it names the nearest right one.
        """
        return super().training(**kwargs)

    def validate(self) -> None:
        """Checks everything.

        Raises:
            ValueError: naming all that would have no effect, with what to do instead; or else a
                field, its value and what is allowed.
        """
        super().validate()
        if not configs.is_validated(self):
            return
        if self.max_sampling_lag and not (self.num_env_runners or self.in_evaluation):
            raise ValueError(
                f"`max_sampling_lag` is {shown(self.max_sampling_lag)} with 0 env runners that "
                "could sample meanwhile; allowed: 0, or `num_env_runners` of at least 1."
            )
        if self.replicas > 1 and (self.num_env_runners or self.num_learners):
            raise ValueError(
                f"`replicas` is {self.replicas} with {self.num_env_runners} env runners and "
                f"{self.num_learners} learners; allowed: 0 of both, since replicas are computed "
                "together in the trial's own process. Spread replicas over several trials instead."
            )

    def get_multi_rl_module_spec(
        self,
        *,
        env: Any = None,
        spaces: dict[str, Any] | None = None,
        inference_only: bool = False,
        **kwargs: Any,
    ) -> MultiRLModuleSpec:
        """RLlib's specs, in which each of our policies finds the form of its opponents' actions.

        Raises:
            ValueError: naming the agent and the space that cannot be served.
        """
        multi_spec = super().get_multi_rl_module_spec(
            env=env, spaces=spaces, inference_only=inference_only, **kwargs
        )
        # Policies may come as a set; in which order networks draw their first weights must not
        # depend on the process.
        multi_spec.rl_module_specs = dict(sorted(multi_spec.rl_module_specs.items()))
        ours = [
            policy
            for policy, spec in multi_spec.rl_module_specs.items()
            if issubclass(spec.module_class, JointActionPolicy)
        ]
        self._refuse_to_train_others(multi_spec, ours)
        if not ours:
            kinds_given = sorted(
                {s.module_class.__name__ for s in multi_spec.rl_module_specs.values()}
            )
            raise ValueError(
                f"All policies are {', '.join(kinds_given)}; {self.algo_class.__name__} needs one "
                "of its own kind at least: leave `rl_module_spec` out, or give `RLModuleSpec()`."
            )
        env_spaces = _env_spaces(env, spaces)
        action_spaces = agent_action_spaces(env_spaces)
        for agent in action_spaces:
            refuse_unknown_policy(agent, self.policy_of(agent), multi_spec.rl_module_specs)
        warn_of_action_masks(agent_observation_spaces(env_spaces))
        for policy in ours:
            spec = multi_spec.rl_module_specs[policy]
            agents = [a for a in action_spaces if self.policy_of(a) == policy]
            # What connectors make of observations, only the policy's own space tells.
            if configs.given_connector(self, "env_to_module") is None:
                check_agents_of_policy(policy, agents, env_spaces)
            observation_size(spec.observation_space, f"Policy {policy!r}")
            # A policy to which no agent is mapped at first may get any of them later.
            agents = agents or list(action_spaces)
            kinds = spec.module_class.ACTION_KINDS
            reject_other_kinds(self.algo_class.__name__, kinds, action_spaces)
            opponents = shared_opponents(policy, agents, action_spaces, self.opponent_groups)
            if spec.module_class.TRAINS_CENTRALLY:
                modelled = opponents_by_agent(action_spaces, self.opponent_groups)
                seen = agent_observation_spaces(env_spaces)
                opponents = central_opponents(
                    policy, agents, opponents, modelled, seen, self.policy_of
                )
            spec.model_config = {**spec.model_config, OPPONENTS: opponents}
        observed = [multi_spec.rl_module_specs[policy] for policy in ours]
        model_settings.refuse_convolutions_without_images(
            [(spec.observation_space, spec.model_config) for spec in observed],
            model_settings.convolutions_given(self),
        )
        if self.replicas > 1:
            multi_spec.rl_module_specs = {
                replica_id(policy, replica): copy.deepcopy(spec)
                for replica in range(self.replicas)
                for policy, spec in multi_spec.rl_module_specs.items()
            }
        for module_id, spec in multi_spec.rl_module_specs.items():
            overrides = per_policy.overrides_of(self, module_id)
            if not issubclass(spec.module_class, JointActionPolicy):
                if overrides:
                    raise ValueError(
                        f"`{per_policy.NAME}` names {module_id!r}, which is a "
                        f"{spec.module_class.__name__}; allowed: policies of "
                        f"{self.algo_class.__name__}'s own kind, here {ours}."
                    )
                continue
            if overrides:
                spec.model_config |= self._auto_includes_changed_by(overrides)
            if self.seed is not None:
                spec.model_config[INIT_KEY] = self.stream_key(module_id)
        return multi_spec

    def _auto_includes_changed_by(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """What a policy with settings of its own finds in its model config instead of all's."""
        own = configs.model_config_defaults(per_policy.configuration_of(self, overrides))
        common = configs.model_config_defaults(self)
        return {key: value for key, value in own.items() if value != common[key]}

    def build_env_to_module_connector(
        self, env: Any = None, spaces: Any = None, device: Any = None
    ) -> ConnectorV2:
        """RLlib's pipeline, in which each agent also learns who else acts at this step."""
        pipeline = super().build_env_to_module_connector(env=env, spaces=spaces, device=device)
        if any(isinstance(piece, FrameStacking) for piece in pipeline.connectors):
            raise ValueError(
                "RLlib's FrameStackingEnvToModule stacks for the policy only, past the episodes "
                "that the replay learns from; use rommeo_rllib.frame_stacking.StackFrames."
            )
        mend_filters(pipeline.connectors)
        if self.add_default_connectors_to_env_to_module_pipeline:
            agents = agent_action_spaces(_env_spaces(env, spaces))
            modelled = opponents_by_agent(agents, self.opponent_groups)
            pipeline.insert_after(AddObservationsFromEpisodesToBatch, AddOpponentMask(modelled))
        return pipeline

    def get_default_rl_module_spec(self) -> RLModuleSpec:
        """One of `POLICY_CLASS` for each policy."""
        return RLModuleSpec(module_class=self.POLICY_CLASS)

    def get_default_learner_class(self) -> type:
        """`LEARNER_CLASS`."""
        return self.LEARNER_CLASS

    def make_replay_buffer(
        self,
        action_spaces: Mapping[AgentID, gym.Space],
        observation_spaces: Mapping[AgentID, gym.Space],
    ) -> JointReplayBuffer:
        """An empty replay buffer, as the settings ask for it.

        Args:
            action_spaces: the action space of each agent.
            observation_spaces: what each agent's policy observes.

        Raises:
            ValueError: if it would not fit into memory when it is full.
        """
        make_sampler = prioritized(self.replay_priorities, "replay_priorities")
        beside = BYTES_OF_LINKS * (self.n_step != 1)
        beside += BYTES_OF_PRIORITIES * bool(self.replay_priorities)
        check_replay_fits(
            self.replay_capacity, self.replicas, observation_spaces, action_spaces, beside
        )
        return JointReplayBuffer(
            self.replay_capacity,
            action_spaces,
            self.seed,
            self.opponent_groups,
            observation_spaces,
            self.replicas,
            make_sampler,
            n_step=self.n_step,
        )

    @property
    def recent_window(self) -> int | None:
        """If not None, a batch has as many rows again of this many most recent env steps.

        They stand under names that begin with `replay_columns.RECENT`.
        """
        return None

    @property
    def _model_config_auto_includes(self) -> dict[str, Any]:
        return super()._model_config_auto_includes | {
            "fcnet_hiddens": [256, 256],
            "fcnet_activation": "relu",
            Q_LAYER_NORM: self.q_layer_norm,
            TWIN_Q: self.twin_q,
            RANDOM_WARM_UP: self.random_warm_up,
        }

    @property
    def trains_centrally(self) -> bool:
        """Whether training needs what the opponents observe, and their own policies."""
        module_class = self.get_default_rl_module_spec().module_class
        return bool(getattr(module_class, "TRAINS_CENTRALLY", False))

    def stream_key(self, module_id: str, *, added: bool = False) -> tuple[int, int]:
        """Numbers that tell a policy's random numbers from all other policies'.

        They depend on the seed and the policy only; without a seed they are random.

        Args:
            module_id: the policy, or one of its replicas.
            added: the policy has been added to others, one of which may have had its place.
        """
        seed = secrets.randbits(31) if self.seed is None else self.seed
        if added:
            return seed, zlib.crc32(module_id.encode())
        policy, replica = split_id(module_id, self.policies)
        return seed + replica, sorted(self.policies).index(policy)

    def policy_of(self, agent: AgentID) -> str | None:
        """The policy to which the user's mapping sends an agent; None if it cannot be asked."""
        try:
            return self.policy_mapping_fn(agent, None)
        except Exception:  # The user's function may insist on a real episode.
            return None

    def _refuse_to_train_others(self, multi_spec: MultiRLModuleSpec, ours: list[str]) -> None:
        named = self.policies_to_train
        for policy in () if named is None or callable(named) else named:
            spec = multi_spec.rl_module_specs.get(policy)
            if spec is not None and policy not in ours:
                raise ValueError(
                    f"`policies_to_train` names {policy!r}, which is a "
                    f"{spec.module_class.__name__}; allowed: policies of {self.algo_class.__name__}"
                    f"'s own kind, here {ours}. It plays without being trained if it is left out."
                )


def _env_spaces(env: Any, spaces: dict[str, Any] | None) -> Any:
    if spaces is not None and INPUT_ENV_SINGLE_SPACES in spaces:
        return spaces[INPUT_ENV_SINGLE_SPACES]
    return (
        getattr(env, "single_observation_space", None) or getattr(env, "observation_space", None),
        getattr(env, "single_action_space", None) or getattr(env, "action_space", None),
    )
