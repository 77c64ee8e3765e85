"""The training loop that all off-policy algorithms here share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.execution.rollout_ops import synchronous_parallel_sample
from ray.rllib.policy.sample_batch import MultiAgentBatch, SampleBatch
from ray.rllib.utils.metrics import (
    ENV_RUNNER_RESULTS,
    ENV_RUNNER_SAMPLING_TIMER,
    LEARNER_RESULTS,
    LEARNER_UPDATE_TIMER,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    REPLAY_BUFFER_SAMPLE_TIMER,
    SYNCH_WORKER_WEIGHTS_TIMER,
    TIMERS,
)

from rommeo_rllib.joint_action.config import JointActionConfig
from rommeo_rllib.joint_action.replay_buffer import JointReplayBuffer
from rommeo_rllib.joint_action.spaces import agent_action_spaces

REPLAY_BUFFER = "replay_buffer"
"""Name of the replay buffer's folder in a checkpoint."""

UPDATE_DEBT = "update_debt"


class JointActionAlgorithm(Algorithm):
    """Sample, store joint transitions, update, hand the weights back."""

    config: JointActionConfig

    def setup(self, config: AlgorithmConfig) -> None:
        """Builds env runners, learners and the replay buffer."""
        super().setup(config)
        self.replay_buffer = JointReplayBuffer(
            capacity=self.config.replay_capacity,
            action_spaces=agent_action_spaces(self.spaces[INPUT_ENV_SINGLE_SPACES]),
            seed=self.config.seed,
        )
        # Gradient steps that are due; a fraction is carried over to the next env steps.
        self._update_debt = 0.0

    def __repr__(self) -> str:
        # RLlib's own fails where the constructor did, and so hides the reason.
        return type(self).__name__

    def training_step(self) -> None:
        """One iteration: at least `min_sample_timesteps_per_iteration` env steps.

        RLlib would call this once for each round of sampling and do its bookkeeping every time;
        here the loop is inside, and metrics are collected once an iteration.
        """
        env_steps = self._env_steps_sampled()
        goal = env_steps + max(self.config.min_sample_timesteps_per_iteration or 1, 1)
        updated = False
        while env_steps < goal:
            sampled = self._sample()
            if sampled == 0:
                break  # No env runner answered; RLlib restores them between training steps.
            env_steps = self._env_steps_sampled()
            updated |= self._update(env_steps, sampled)
        if updated:
            reports = self.learner_group.foreach_learner(lambda learner: learner.report())
            self.metrics.aggregate([report.get() for report in reports], key=LEARNER_RESULTS)

    def _env_steps_sampled(self) -> int:
        """The clock of all schedules."""
        return int(
            self.metrics.peek((ENV_RUNNER_RESULTS, NUM_ENV_STEPS_SAMPLED_LIFETIME), default=0)
        )

    def _sample(self) -> int:
        with self.metrics.log_time((TIMERS, ENV_RUNNER_SAMPLING_TIMER)):
            episodes, results = synchronous_parallel_sample(
                worker_set=self.env_runner_group,
                concat=True,
                sample_timeout_s=self.config.sample_timeout_s,
                _uses_new_env_runners=True,
                _return_metrics=True,
            )
        self.metrics.aggregate(results, key=ENV_RUNNER_RESULTS)
        self.replay_buffer.add(episodes)
        return sum(episode.env_steps() for episode in episodes)

    def _update(self, env_steps: int, sampled: int) -> bool:
        """Makes the gradient steps that are due; whether there were any."""
        config = self.config
        warm_up = min(config.num_steps_sampled_before_learning_starts, config.replay_capacity)
        if len(self.replay_buffer) < max(warm_up, 1):
            return False
        self._update_debt += sampled * config.updates_per_env_step
        due = int(self._update_debt)
        self._update_debt -= due
        for _ in range(due):
            self._gradient_step(env_steps)
        if due:
            with self.metrics.log_time((TIMERS, SYNCH_WORKER_WEIGHTS_TIMER)):
                self.env_runner_group.sync_weights(
                    from_worker_or_learner_group=self.learner_group, inference_only=True
                )
        return due > 0

    def _gradient_step(self, env_steps: int) -> None:
        rows = self.config.total_train_batch_size
        with self.metrics.log_time((TIMERS, REPLAY_BUFFER_SAMPLE_TIMER)):
            batches = self.replay_buffer.sample(
                self._policies_to_train(), rows, prior_window=self._prior_window()
            )
        batch = MultiAgentBatch(
            {policy: SampleBatch(columns) for policy, columns in batches.items()}, env_steps=rows
        )
        with self.metrics.log_time((TIMERS, LEARNER_UPDATE_TIMER)):
            self.learner_group.update(
                batch=batch, timesteps={NUM_ENV_STEPS_SAMPLED_LIFETIME: env_steps}
            )

    def _prior_window(self) -> int | None:
        """Most recent env steps that an opponent prior is fitted on; None for the whole replay."""
        return None

    def _policies_to_train(self) -> list[str]:
        to_train = self.config.policies_to_train
        if to_train is None:
            return sorted(self.config.policies)
        if callable(to_train):
            return sorted(policy for policy in self.config.policies if to_train(policy, None))
        return sorted(to_train)

    # Checkpoints: beside RLlib's components, the replay buffer and the updates that are due.

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """RLlib's components, and the replay buffer if it is to be stored."""
        components = super().get_checkpointable_components()
        if self.config.store_buffer_in_checkpoints:
            components.append((REPLAY_BUFFER, self.replay_buffer))
        return components

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """RLlib's state, the replay buffer's and the updates that are due."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self.config.store_buffer_in_checkpoints and self._check_component(
            REPLAY_BUFFER, components, not_components
        ):
            state[REPLAY_BUFFER] = self.replay_buffer.get_state()
        state[UPDATE_DEBT] = self._update_debt
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up a state of :meth:`get_state`."""
        super().set_state(state)
        if REPLAY_BUFFER in state:
            self.replay_buffer.set_state(state[REPLAY_BUFFER])
        self._update_debt = state.get(UPDATE_DEBT, 0.0)
