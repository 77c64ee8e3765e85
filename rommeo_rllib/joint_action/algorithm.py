"""The training loop that all off-policy algorithms here share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import gymnasium as gym
from ray.exceptions import RayActorError
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    EVALUATION_RESULTS,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_ENV_STEPS_TRAINED_LIFETIME,
    REPLAY_BUFFER_SAMPLE_TIMER,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)
from ray.rllib.utils.metrics.metrics_logger import MetricsLogger

from rommeo_rllib.joint_action.checkpoints.checkpointing import REPLAY_BUFFER, CheckpointedAlgorithm
from rommeo_rllib.joint_action.config import JointActionConfig
from rommeo_rllib.joint_action.replay.buffer import JointReplayBuffer, ReplayOfReplica
from rommeo_rllib.joint_action.replay.columns import Batch
from rommeo_rllib.joint_action.replay.transitions import JointSteps
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.joint_action.sampling.recent_episodes import finite_or_before
from rommeo_rllib.joint_action.sampling.remote import RemoteSampler
from rommeo_rllib.joint_action.spaces.agents import (
    AgentID,
    agent_action_spaces,
    agent_observation_spaces,
)
from rommeo_rllib.joint_action.spaces.replicas import replica_id
from rommeo_rllib.provenance import PROVENANCE, provenance
from rommeo_rllib.rllib_boundary.running import local_learner, set_environment

SAMPLING_LAG = "sampling_lag"
"""Key of a result: age, in env steps, of the oldest weights that acted in an iteration."""

EVALUATION_AGE = "age_in_iterations"
"""Key of `evaluation` in a result: how many iterations ago that was measured."""


class JointActionAlgorithm(CheckpointedAlgorithm):
    """Sample, store joint transitions, update, hand the weights back."""

    config: JointActionConfig

    def setup(self, config: AlgorithmConfig) -> None:
        """Builds env runners, learners and the replay buffer.

        Raises:
            ValueError: if the replay buffer at its capacity would not fit into memory, or the
                configuration cannot work with this environment.
        """
        # RLlib calls `on_algorithm_init` at the end of its own setup, and a user's callback may
        # restore a checkpoint: what that needs is made when it is first asked for.
        for name in (
            "replay_buffer",
            "_remote_sampler",
            "_opponent_observation_spaces",
            "_policy_changes",
        ):
            self.__dict__.pop(name, None)
        # Gradient steps that are due; a fraction is carried over to the next env steps.
        self._update_debt = 0.0
        self._last_episodes: dict[str, Any] = {}
        self._policies_are_shared = False
        self._evaluated_at = 0
        super().setup(config)
        if self.config.min_train_timesteps_per_iteration and not self._policies_to_train():
            raise ValueError(
                "`min_train_timesteps_per_iteration` is "
                f"{self.config.min_train_timesteps_per_iteration}, but `policies_to_train` names "
                "no policy: the first iteration would never end. Allowed: None."
            )
        if self.config.replicas > 1 and not self.env_runner.uses_fast_path:
            raise ValueError(
                f"`replicas` is {self.config.replicas}, but callbacks, connectors or policies of "
                "another kind call for RLlib's own way of sampling, which has none; leave these "
                "out, or set `replicas=1`."
            )
        self._share_policies()
        self._policy_changes  # noqa: B018  # Of all policies that come later.
        self.replay_buffer  # noqa: B018  # Too large a one is told before training begins.

    @cached_property
    def replay_buffer(self) -> JointReplayBuffer:
        """The replay buffer, of all replicas."""
        spaces = self.spaces[INPUT_ENV_SINGLE_SPACES]
        action_spaces, replayed = agent_action_spaces(spaces), agent_observation_spaces(spaces)
        for agent in action_spaces:
            # What connectors make of observations, only the policy's own space tells.
            policy = self.config.policy_of(agent)
            if policy in self.spaces:
                replayed[agent] = self.spaces[policy][0]
        return self.config.make_replay_buffer(action_spaces, replayed)

    @cached_property
    def _remote_sampler(self) -> RemoteSampler:
        return RemoteSampler(
            self.env_runner_group,
            self.config.max_sampling_lag,
            self.config.sample_timeout_s,
            replaces=self.config.restart_failed_env_runners,
        )

    @property
    def _samples_locally(self) -> bool:
        """A local env runner of ours is asked directly, and for its metrics once an iteration."""
        is_local = self.env_runner_group.num_remote_env_runners() == 0
        return is_local and isinstance(self.env_runner, JointActionEnvRunner)

    @cached_property
    def _opponent_observation_spaces(self) -> dict[AgentID, gym.Space] | None:
        """For policies that are trained centrally; else None."""
        if not self.config.trains_centrally:
            return None
        return agent_observation_spaces(self.spaces[INPUT_ENV_SINGLE_SPACES])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins anew with another configuration, so that Tune can use this process again.

        The trial computes what it would in a process of its own. (`TuneConfig(reuse_actors=True)`;
        a new process costs as much as hundreds of updates.)

        Args:
            new_config: as Tune's search makes it; it is the whole configuration, not a change.

        Raises:
            ValueError: if the new configuration cannot work.
        """
        config = self.get_default_config().update_from_dict(new_config)
        config.validate()
        config.freeze()
        self.cleanup()
        set_environment(self, config)
        self.metrics = MetricsLogger(root=True, stats_cls_lookup=config.stats_cls_lookup)
        self.eval_env_runner_group = None
        self.config = config
        self.setup(config)
        return True

    def _share_policies(self) -> None:
        """Lets a local env runner act with the very networks of a local learner."""
        self._policies_are_shared = (
            self._samples_locally
            and self.learner_group.is_local
            and local_learner(self.learner_group).device.type == "cpu"
        )
        if self._policies_are_shared:
            self.env_runner.share(local_learner(self.learner_group).groups)

    def __repr__(self) -> str:
        # RLlib's own fails where the constructor did, and so hides the reason.
        return type(self).__name__

    def step(self) -> dict[str, Any]:
        """RLlib's iteration; a mean over episodes stays what it was while none has ended.

        RLlib says NaN in its place, which schedulers such as ASHA and PBT take for a value.
        """
        result = super().step()
        episodes = finite_or_before(result[ENV_RUNNER_RESULTS], self._last_episodes)
        self._last_episodes = {name: episodes[name] for name in episodes if "episode" in name}
        result[ENV_RUNNER_RESULTS] = episodes
        if EVALUATION_RESULTS in result:
            result[EVALUATION_RESULTS][EVALUATION_AGE] = self.iteration - self._evaluated_at
        result[PROVENANCE] = provenance()
        return result

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """RLlib's evaluation, with the connectors' statistics (`MeanStdFilter`) of training."""
        runners = [r for r in (self.eval_env_runner, self.env_runner) if r is not None]
        ours = [runner for runner in runners if isinstance(runner, JointActionEnvRunner)]
        if len(ours) == 2:  # RLlib does so for remote ones.
            ours[0].follow_connectors(ours[1])
        for runner in ours:
            runner.samples_for_counts = not self.config.custom_evaluation_function
        if not self.config.evaluation_num_env_runners:
            self._evaluated_at = self.iteration
        try:
            return super().evaluate(*args, **kwargs)
        finally:
            for runner in ours:
                runner.samples_for_counts = False

    def _evaluate_with_fixed_duration(self) -> tuple[Any, ...]:
        return self._noted(super()._evaluate_with_fixed_duration())

    def _evaluate_with_auto_duration(self, parallel_train_future: Any) -> tuple[Any, ...]:
        return self._noted(super()._evaluate_with_auto_duration(parallel_train_future))

    def _noted(self, evaluated: tuple[Any, ...]) -> tuple[Any, ...]:
        """Notes when remote env runners have evaluated; without them RLlib repeats the last one."""
        _, env_steps, *_ = evaluated
        if env_steps:
            self._evaluated_at = self.iteration
        return evaluated

    def training_step(self) -> None:
        """One iteration: at least `min_sample_timesteps_per_iteration` env steps.

        RLlib would call this once for each round of sampling and do its bookkeeping every time;
        here the loop is inside, and metrics are collected once an iteration.
        """
        env_steps = self._env_steps_sampled()
        goal = env_steps + max(self.config.min_sample_timesteps_per_iteration or 1, 1)
        updates = 0
        while env_steps < goal:
            with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
                sampled = self._sample()
            if sampled == 0:
                break  # No env runner answered; RLlib restores them between training steps.
            env_steps += sampled
            updates += self._update(env_steps, sampled)
        if self._samples_locally:
            self.metrics.aggregate([self.env_runner.get_metrics()], key=ENV_RUNNER_RESULTS)
        if updates:
            # The clock of `min_train_timesteps_per_iteration`.
            self.metrics.log_value(
                (LEARNER_RESULTS, ALL_MODULES, NUM_ENV_STEPS_TRAINED_LIFETIME),
                updates * self.config.total_train_batch_size,
                reduce="lifetime_sum",
            )
            reports = self.learner_group.foreach_learner(lambda learner: learner.report())
            self.metrics.aggregate([report.get() for report in reports], key=LEARNER_RESULTS)

    def _env_steps_sampled(self) -> int:
        """The clock of all schedules."""
        return int(
            self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
        )

    def _sample(self) -> int:
        """Samples once and stores what came; the number of env steps."""
        if self._samples_locally:
            self._store(self.env_runner.sample_joint_steps())
            return self.env_runner.last_env_steps
        before = self._env_steps_sampled()
        fragments = self._remote_sampler.sample(before)
        if self.config.max_sampling_lag:
            self.metrics.log_value(SAMPLING_LAG, self._remote_sampler.lag, reduce="max", window=1)
        self.metrics.aggregate([metrics for _, metrics in fragments], key=ENV_RUNNER_RESULTS)
        self._store([sample for fragment, _ in fragments for sample in fragment])
        return self._env_steps_sampled() - before

    def _store(self, samples: Sequence[JointSteps | MultiAgentEpisode]) -> None:
        episodes = []
        for sample in samples:
            if isinstance(sample, JointSteps):
                self.replay_buffer.add_steps(sample)
            else:
                episodes.append(sample)
        if episodes:
            self.replay_buffer.add(episodes)

    def _update(self, env_steps: int, sampled: int) -> int:
        """Makes the gradient steps that are due; their number."""
        config = self.config
        warm_up = min(config.num_steps_sampled_before_learning_starts, config.replay_capacity)
        if len(self.replay_buffer) < max(warm_up, 1):
            return 0
        self._update_debt += sampled * config.updates_per_env_step
        due = int(self._update_debt)
        self._update_debt -= due
        for _ in range(due):
            self._gradient_step(env_steps)
        if due and not self._policies_are_shared:
            with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
                self.env_runner_group.sync_weights(
                    from_worker_or_learner_group=self.learner_group, inference_only=True
                )
        return due

    def _gradient_step(self, env_steps: int) -> None:
        rows = self.config.total_train_batch_size
        with self.metrics.log_time((TIMERS, REPLAY_BUFFER_SAMPLE_TIMER)):
            batches = self._batches(rows, env_steps)
        timesteps = {NUM_ENV_STEPS_SAMPLED_LIFETIME: env_steps}
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            if self.learner_group.is_local:
                local_learner(self.learner_group).update(batches, timesteps=timesteps)
            else:
                samples = {i: SampleBatch(columns) for i, columns in batches.items()}
                batch = MultiAgentBatch(samples, env_steps=rows)
                try:
                    self.learner_group.update(batch=batch, timesteps=timesteps)
                except RayActorError as error:
                    raise RuntimeError(
                        "A learner process was lost, and with it what was learned. Restore from "
                        "the last checkpoint; Tune does so with `FailureConfig(max_failures=...)`."
                    ) from error
        if self.replay_buffer.sampler.WEIGHS:
            answers = self.learner_group.foreach_learner(lambda learner: learner.td_errors())
            for indices, errors in (pair for answer in answers for pair in answer.get()):
                self.replay_buffer.note_errors(indices, errors)

    def _batches(self, rows: int, env_steps: int) -> Mapping[str, Batch]:
        """A batch for each policy, of each replica."""
        policies = self._policies_to_train()
        return self.replay_buffer.sample(
            policies,
            rows,
            self.config.recent_window,
            self._opponent_observation_spaces,
            {policy: self.config.get_config_for_module(policy).gamma for policy in policies},
            env_steps=env_steps,
        )

    def _policies_to_train(self) -> list[str]:
        to_train = self.config.policies_to_train
        if to_train is None:
            return sorted(self.config.policies)
        if callable(to_train):
            return sorted(policy for policy in self.config.policies if to_train(policy, None))
        return sorted(to_train)

    def _named_replay_buffers(self) -> dict[str, ReplayOfReplica]:
        if self.config.replicas == 1:
            return {REPLAY_BUFFER: self.replay_buffer}
        of_replicas = enumerate(self.replay_buffer.of_replicas)
        return {replica_id(REPLAY_BUFFER, replica): held for replica, held in of_replicas}
