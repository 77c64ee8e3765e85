"""RLlib's multi-agent env runner, made reproducible, with a fast path."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import ray.cloudpickle as pickle
import torch
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.utils.metrics import SAMPLE_TIMER

from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup, group_policies
from rommeo_rllib.joint_action.sampling.env_border import EnvBorder, warn_of_turns
from rommeo_rllib.joint_action.sampling.env_guard import EnvGuard
from rommeo_rllib.joint_action.sampling.env_state import comparable, restore_states, stored_states
from rommeo_rllib.joint_action.sampling.fast_path import FastSampler
from rommeo_rllib.joint_action.sampling.fast_path_conditions import allows_fast_path
from rommeo_rllib.joint_action.sampling.recent_episodes import RecentEpisodes
from rommeo_rllib.joint_action.spaces.agents import (
    agent_action_spaces,
    opponents_by_agent,
)
from rommeo_rllib.naming import shown
from rommeo_rllib.rllib_boundary.env_runners import OpenEnvRunner, connectors
from rommeo_rllib.rng import (
    RNG_STREAMS,
    PolicyRng,
    restore_streams,
    seeded_generator,
    streams_state,
)

_ENV_RUNNER_STREAM = 2
_EVALUATION = 1_000_000

_EPISODES, _PRESENT, _OWNER = "recent_episodes", "present_episodes", "env_runner"
"""Keys of the state: what the next report is a mean of, present episodes, and whose state it is."""


class JointActionEnvRunner(OpenEnvRunner):
    """Samples without per-step bookkeeping where nobody asked for it, else as RLlib does.

    With the same seed both ways give the same joint transitions: actions depend on a stream of
    random numbers for each policy. Replicas need the fast path.
    """

    def __init__(self, config: Any, **kwargs: Any):
        self._generators: dict[str, torch.Generator] = {}
        self._groups: list[PolicyGroup] | None = None
        self._recent_episodes = RecentEpisodes(config)
        self.last_env_steps = 0
        # RLlib's own evaluation only counts what `sample` returns. A local env runner is told when
        # that is going on; remote ones are asked by hardly anybody else.
        self.samples_for_counts = bool(
            config.in_evaluation
            and kwargs.get("worker_index")
            and not config.custom_evaluation_function
        )
        self._fast_sampler: FastSampler | None = None
        self._used_fast_path = False
        self._guard = EnvGuard(None)
        self._borders: list[EnvBorder] = []
        super().__init__(config=config, **kwargs)
        self._choose_way_of_sampling()

    def _choose_way_of_sampling(self) -> None:
        all_ours = self.env is not None and len(self._joint_action_policies()) == len(self.module)
        if not (all_ours and allows_fast_path(self.config)):
            self._fast_sampler = None
        elif self._fast_sampler is not None:
            self._fast_sampler.policy_mapping_fn = self.config.policy_mapping_fn
        else:
            self._fast_sampler = FastSampler(
                [env.unwrapped for env in self.env.envs],
                self.config.replicas,
                self.config.policy_mapping_fn,
                self.env_seed,
                self._generators,
                opponents_by_agent(
                    agent_action_spaces(self.get_spaces()[INPUT_ENV_SINGLE_SPACES]),
                    self.config.opponent_groups,
                ),
                self.device,
            )

    @property
    def uses_fast_path(self) -> bool:
        """Whether RLlib's own way of sampling is skipped."""
        return self._fast_sampler is not None

    def make_env(self) -> None:
        """Makes the environments, a set for each replica, and tries each out.

        May be called again to change them: `config.environment(env_config=...)` before.

        Raises:
            ValueError: if an environment returns what its spaces do not declare.
        """
        per_replica, replicas = self.config.num_envs_per_env_runner, self.config.replicas
        is_checked = not self.config.disable_env_checking
        self.config.num_envs_per_env_runner = per_replica * replicas
        # RLlib's check would bury what the border says in its own advice.
        self.config.disable_env_checking = True
        try:
            super().make_env()
        except TypeError as error:
            if _is_raised_by(error, "sync_vector_multi_agent_env.py"):
                raise ValueError(
                    f"RLlib cannot read the spaces of {shown(self.config.env)} ({error}); allowed: "
                    "dicts `observation_spaces` and `action_spaces` that give each of "
                    "`possible_agents` its space."
                ) from error
            raise
        finally:
            self.config.num_envs_per_env_runner = per_replica
            self.config.disable_env_checking = not is_checked
        self._guard = EnvGuard(self.config.env_time_limit_s)
        self._borders = []
        for env in self.env.envs if self.env is not None else ():
            warn_of_turns(env.unwrapped)
            border = EnvBorder(env.unwrapped, self._guard, check_bounds=is_checked)
            border.close()
            self._borders.append(border)
            if is_checked:
                with self._guard.watching():
                    border.try_out()
        if self._fast_sampler is not None:  # Of the environments before.
            self._recent_episodes.count(self._fast_sampler, self.metrics)
            self._fast_sampler = None
            self._choose_way_of_sampling()

    def follow_connectors(self, other: JointActionEnvRunner) -> None:
        """Takes up the states of another env runner's connectors."""
        theirs = connectors(other)
        for name, pipeline in connectors(self).items():
            pipeline.set_state(theirs[name].get_state())

    def make_module(self) -> None:
        """Makes the policies; each gets a stream of random numbers of its own."""
        super().make_module()
        for module_id in self._joint_action_policies():
            self._give_rng(module_id, added=False)

    def follow_policies(self) -> None:
        """Takes up that policies, or who plays them, have changed since they were made.

        Present episodes go on, unless they are played by a policy that is there no more.
        """
        present = self._joint_action_policies()
        gone = self._generators.keys() - set(present)
        for module_id in gone:
            del self._generators[module_id]
        for module_id in present:
            if module_id not in self._generators:
                self._give_rng(module_id, added=True)
        self._groups = None
        used_fast_path = self.uses_fast_path
        self._choose_way_of_sampling()
        self.begins_anew |= bool(gone) or self.uses_fast_path != used_fast_path

    def _joint_action_policies(self) -> list[str]:
        module_ids = list(self.module.keys())
        return [i for i in module_ids if isinstance(self.module[i], JointActionPolicy)]

    def _give_rng(self, module_id: str, *, added: bool) -> None:
        worker = (self.worker_index or 0) + (_EVALUATION if self.config.in_evaluation else 0)
        key = self.config.stream_key(module_id, added=added)
        generator = seeded_generator(*key, _ENV_RUNNER_STREAM, worker, device=self.device)
        self._generators[module_id] = generator
        self.module[module_id].rng = PolicyRng([generator], stacked=False)

    def share(self, groups: list[PolicyGroup]) -> None:
        """Acts, from now on, with a learner's policies; weights need not be handed over.

        Args:
            groups: the learner's, in this very process.
        """
        self._groups = groups
        for group in groups:
            for module_id, learned in group.members.items():
                for name, parameter in self.module[module_id].named_parameters():
                    parameter.data = learned.get_parameter(name).data
                if learned.encoder is not None:
                    # Means of a normalisation, say; a module may replace these tensors.
                    own = self.module[module_id].encoder
                    for mine, theirs in zip(own.modules(), learned.encoder.modules(), strict=True):
                        mine._buffers = theirs._buffers

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
    ) -> list[Any]:
        """RLlib's episodes; joint steps where they are only counted.

        Programs written for RLlib get what they expect; this package's own training calls
        :meth:`sample_joint_steps`.
        """
        if self.samples_for_counts and not random_actions:
            return self.sample_joint_steps(
                num_timesteps=num_timesteps,
                num_episodes=num_episodes,
                explore=explore,
                force_reset=force_reset,
            )
        return self._sample_episodes(
            num_timesteps=num_timesteps,
            num_episodes=num_episodes,
            explore=explore,
            random_actions=random_actions,
            force_reset=force_reset,
        )

    def _sample_episodes(self, **settings: Any) -> list[MultiAgentEpisode]:
        if self._used_fast_path:
            # Present episodes belong to the other way of sampling.
            self.begins_anew, self._used_fast_path = True, False
        with self._guard.watching():
            try:
                episodes = super().sample(**settings)
            except RuntimeError as error:
                # RLlib wraps what an environment raises into an error without words.
                if error.args or error.__cause__ is None:
                    raise
                raise error.__cause__ from None
        self.last_env_steps = sum(len(episode) for episode in episodes)
        return episodes

    def sample_joint_steps(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        force_reset: bool = False,
    ) -> list[Any]:
        """Joint steps (see `JointSteps`), or RLlib's episodes where the fast path does not serve.

        Args:
            num_timesteps: env steps of all environments of a replica, at least.
            num_episodes: episodes, each of which begins anew. With neither, the configuration says.
            explore: sample actions; None for what the configuration says.
            force_reset: let all environments begin anew.
        """
        sampler = self._fast_sampler
        if sampler is None:
            return self._sample_episodes(
                num_timesteps=num_timesteps,
                num_episodes=num_episodes,
                explore=explore,
                force_reset=force_reset,
            )
        if not self._used_fast_path:
            self.begins_anew, self._used_fast_path = True, True
        whole_episodes = self.config.batch_mode == "complete_episodes"
        if num_timesteps is None and num_episodes is None and whole_episodes:
            num_episodes = self.config.num_envs_per_env_runner
        elif num_timesteps is None and num_episodes is None:
            fragment = self.config.get_rollout_fragment_length(self.worker_index)
            num_timesteps = fragment * self.config.num_envs_per_env_runner
        if self._groups is None:
            self._groups = group_policies({i: self.module[i] for i in self._generators})
        with self.metrics.log_time(SAMPLE_TIMER), self._guard.watching():
            if force_reset or num_episodes is not None or self.begins_anew:
                sampler.reset()
                self.begins_anew = False
            counted = sampler.env_steps
            steps = sampler.sample(
                self._groups,
                env_steps=num_timesteps,
                episodes=num_episodes,
                explore=self.config.explore if explore is None else explore,
            )
            self.last_env_steps = sampler.env_steps - counted
        if num_episodes is not None:
            self.begins_anew = True
        return steps

    def get_metrics(self) -> Any:
        """RLlib's metrics since the last call, and each replica's mean return and length."""
        if self._fast_sampler is not None:
            self._recent_episodes.count(self._fast_sampler, self.metrics)
        self._recent_episodes.log(self.metrics)
        metrics = super().get_metrics()
        if self.config.in_evaluation:
            # Each evaluation is of other weights.
            self._recent_episodes.clear()
        return metrics

    def log_episode(self, summary: tuple[Any, ...]) -> None:
        """Takes an episode into the means that are reported."""
        self._recent_episodes.add(summary)
        self._recent_episodes.log(self.metrics)

    def get_state(
        self, components: Any = None, *, not_components: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """RLlib's state, and that of sampling."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if components is None:
            state |= self.get_sampling_state()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up a state of :meth:`get_state`."""
        super().set_state(state)
        # RLlib also hands over a local env runner's to remote ones and to evaluation.
        if RNG_STREAMS in state and state.get(_OWNER, self._owner) == self._owner:
            self.set_sampling_state(state)

    def get_sampling_state(self) -> dict[str, Any]:
        """Random numbers, present episodes, and what is reported of recent ones."""
        return {
            _OWNER: self._owner,
            RNG_STREAMS: streams_state(self._generators),
            _EPISODES: self._recent_episodes.state(),
            _PRESENT: self._present_episodes(),
        }

    def set_sampling_state(self, state: Mapping[str, Any]) -> None:
        """Takes up a state of :meth:`get_sampling_state`; what it lacks begins anew.

        Present episodes are continued if environments keep their states and are those that were
        stored. Where RLlib samples in its own way, only the environments' states are taken up, and
        new episodes begin.
        """
        restore_streams(self._generators, state.get(RNG_STREAMS, {}))
        if _EPISODES in state:
            self._recent_episodes.restore(state[_EPISODES])
        self.begins_anew = True
        if self._borders and state.get(_PRESENT) is not None:
            self._restore_present_episodes(pickle.loads(state[_PRESENT]))

    @property
    def _owner(self) -> list[Any]:
        return [self.worker_index or 0, bool(self.config.in_evaluation)]

    def _present_episodes(self) -> bytes | None:
        """None if the environments do not keep their states."""
        envs = stored_states(self._borders)
        if not envs:
            return None
        sampler = self._fast_sampler
        is_under_way = not self.begins_anew and self._used_fast_path == self.uses_fast_path
        games = None if sampler is None else sampler.get_state()
        # As bytes, which msgpack can write, too.
        return pickle.dumps((self._game_settings(), envs, games, is_under_way))

    def _restore_present_episodes(self, stored: tuple[Any, ...]) -> None:
        settings, envs, games, is_under_way = stored
        if settings != self._game_settings() or not restore_states(self._borders, envs):
            return
        if self._fast_sampler is not None:
            self._fast_sampler.set_state(games)
            self._used_fast_path = True
            self.begins_anew = not is_under_way
        elif is_under_way:
            # New episodes must not begin at the environments' seed again.
            self.env_seed = None

    def _game_settings(self) -> list[Any]:
        """States of environments that differ in these would be foreign ones."""
        config = self.config
        return [
            comparable(config.env),
            comparable(config.env_config),
            len(self._borders),
            config.replicas,
            self.get_spaces()[INPUT_ENV_SINGLE_SPACES],
            sorted(self._generators),
            self.uses_fast_path,
        ]


def _is_raised_by(error: Exception, file: str) -> bool:
    """Whether an error comes from a file itself, not from what that has called."""
    *_, last = traceback.extract_tb(error.__traceback__)
    return last.filename.endswith(file)
