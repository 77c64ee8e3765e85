"""Checkpoints of an algorithm: whole or refused, with the policies of when it was saved."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import ray.cloudpickle as pickle
from ray.rllib.algorithms.algorithm import Algorithm
from ray.rllib.core import COMPONENT_ENV_RUNNER, COMPONENT_EVAL_ENV_RUNNER
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.env.env_runner_group import EnvRunnerGroup
from ray.rllib.utils.checkpoints import try_import_msgpack

from rommeo_rllib.joint_action.checkpoints.bundle_writing import (
    BUNDLE,
    connectors_of,
    described,
    game_described,
    write_bundle,
)
from rommeo_rllib.joint_action.checkpoints.manifest import (
    FileSystem,
    check_component,
    check_manifest,
    located,
    remove_manifest,
    write_manifest,
)
from rommeo_rllib.joint_action.checkpoints.policy_changes import (
    PolicyChanges,
    Shapes,
    StoredPolicies,
    plan,
    shapes_of,
)
from rommeo_rllib.joint_action.config import JointActionConfig
from rommeo_rllib.joint_action.replay.buffer import ReplayOfReplica
from rommeo_rllib.joint_action.sampling.remote import RemoteSampler
from rommeo_rllib.joint_action.settings.per_policy import NAME, as_dict, by_module, check_added
from rommeo_rllib.joint_action.spaces.agents import agent_action_spaces
from rommeo_rllib.provenance import provenance
from rommeo_rllib.rllib_boundary.configs import thawed
from rommeo_rllib.rllib_boundary.running import expect_any_weights, is_asked_for, nothing_dropped

REPLAY_BUFFER = "replay_buffer"
"""Name of the replay buffer's folder in a checkpoint."""

UPDATE_DEBT, LAST_EPISODES, POLICIES = "update_debt", "last_episodes", "policies"
REMOTE_SAMPLING = "remote_sampling"
"""Key of a state: the sampling states of remote env runners, of training and of evaluation."""


class CheckpointedAlgorithm(Algorithm):
    """Saves and restores, beside RLlib's components, the replay and the updates that are due."""

    config: JointActionConfig
    _update_debt: float
    _last_episodes: dict[str, Any]

    # What a subclass supplies.

    @property
    def _samples_locally(self) -> bool:
        raise NotImplementedError

    @cached_property
    def _remote_sampler(self) -> RemoteSampler:
        raise NotImplementedError

    def _named_replay_buffers(self) -> dict[str, ReplayOfReplica]:
        raise NotImplementedError

    def _share_policies(self) -> None:
        raise NotImplementedError

    # Policies.

    def add_module(self, module_id: str, *args: Any, **kwargs: Any) -> Any:
        """Adds a policy, as RLlib does; it takes part from the next episodes on.

        Raises:
            ValueError: with replicas, whose policies cannot be changed; or for a setting in
                `config_overrides` in which policies may not differ.
        """
        self._refuse_replicas("add_module")
        overrides = kwargs.get("config_overrides")
        check_added(self.config, module_id, overrides)
        changes = self._policy_changes
        # RLlib forgets the settings of policies that were added before.
        before = by_module(self.config)
        spec = super().add_module(module_id, *args, **kwargs)
        self._set_everywhere({NAME: before | ({module_id: overrides} if overrides else {})})
        if kwargs.get("add_to_learners", True):
            given = args[0] if args else kwargs["module_spec"]
            changes.add(module_id, (copy.deepcopy(given), overrides))
        self._policies_have_changed()
        # RLlib's env runners have seen as many updates, so that they take up no other weights.
        self._forget_older_weights()
        with nothing_dropped(self._env_runner_groups().values()):
            self._hand_out_weights()
        return spec

    def remove_module(self, module_id: str, *args: Any, **kwargs: Any) -> Any:
        """Removes a policy, as RLlib does; map its agents to another one.

        Raises:
            ValueError: with replicas, whose policies cannot be changed.
        """
        self._refuse_replicas("remove_module")
        changes = self._policy_changes
        made = self._made(module_id)
        before = {i: own for i, own in by_module(self.config).items() if i != module_id}
        self._set_everywhere({NAME: dict(by_module(self.config))})
        spec = super().remove_module(module_id, *args, **kwargs)
        self._set_everywhere({NAME: before})
        if kwargs.get("remove_from_learners", True):
            changes.remove(module_id, made)
        self._policies_have_changed()
        return spec

    def _made(self, policy: str) -> tuple[RLModuleSpec, dict[str, Any] | None]:
        """How a policy that the configuration named is made again."""

        def spec_of(learner: Any) -> RLModuleSpec:
            return RLModuleSpec.from_module(learner.module[policy].unwrapped())

        spec = next(iter(self.learner_group.foreach_learner(spec_of))).get()
        return spec, as_dict(by_module(self.config).get(policy), policy) or None

    def _refuse_replicas(self, method: str) -> None:
        if self.config.replicas > 1:
            raise ValueError(f"`replicas` is {self.config.replicas}; allowed for {method}(): 1.")

    def _policies_have_changed(self) -> None:
        for group in self._env_runner_groups().values():
            group.foreach_env_runner(lambda env_runner: env_runner.follow_policies())
        self._share_policies()

    @cached_property
    def _policy_changes(self) -> PolicyChanges:
        return PolicyChanges(sorted(self._policy_shapes()))

    def _note_policies_of_learners(self) -> None:
        """Notes policies that were added to the learners only, past :meth:`add_module`."""
        changes = self._policy_changes
        for policy in self._policy_shapes().keys() - changes.added.keys():
            if policy not in changes.built_with:
                changes.add(policy, self._made(policy))

    def _policy_shapes(self) -> dict[str, Shapes]:
        found = self.learner_group.foreach_learner(lambda one: shapes_of(one.module.items()))
        return next(iter(found)).get()

    def _set_everywhere(self, settings: Mapping[str, Any]) -> None:
        """Changes settings of the configuration, and of all copies of it."""

        def change(holder: Any) -> None:
            _change_settings(holder, settings)

        change(self)
        self.learner_group.foreach_learner(change)
        for group in self._env_runner_groups().values():
            group.foreach_env_runner(change)

    def restore_env_runners(self, env_runner_group: EnvRunnerGroup) -> list[int]:
        """Takes env runners back that were started again, with the present policies."""
        restored: list[int] = super().restore_env_runners(env_runner_group)
        if restored and self._policy_changes:
            # They were made by the configuration of when the algorithm was built.
            settings = {
                name: getattr(self.config, name)
                for name in (NAME, "policy_mapping_fn", "policies_to_train")
            }

            def follow(env_runner: Any) -> None:
                _change_settings(env_runner, settings)
                env_runner.follow_policies()

            env_runner_group.foreach_env_runner(
                follow, local_env_runner=False, remote_worker_ids=restored
            )
        return restored

    def _follow(self, stored: StoredPolicies) -> None:
        """Adds and removes policies until they are those of a state.

        Raises:
            ValueError: if that cannot be, before anything is changed.
        """
        self._note_policies_of_learners()
        needed = plan(self._policy_changes, self._policy_shapes(), stored)
        for policy in needed.remove:
            self.remove_module(policy)
        for policy, (spec, overrides) in needed.add.items():
            self.add_module(policy, spec, config_overrides=overrides)
        if needed.remove or needed.add or stored.changes:
            self._set_everywhere(
                {
                    "policy_mapping_fn": stored.policy_mapping_fn,
                    "policies_to_train": stored.policies_to_train,
                }
            )
            self._policy_changes.built_with = list(stored.changes.built_with)
            self._policy_changes.added = dict(stored.changes.added)
            self._policy_changes.removed |= stored.changes.removed
            self._policies_have_changed()

    # Checkpoints.

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """RLlib's components, and the replay buffers if they are to be stored."""
        components = super().get_checkpointable_components()
        if self.config.store_buffer_in_checkpoints:
            components += self._named_replay_buffers().items()
        return components

    def save_to_path(self, path: str | Path | None = None, **kwargs: Any) -> str:
        """Saves as RLlib does, and lists the files when all are written."""
        given = kwargs.pop("filesystem", None)
        if path is not None:
            given, path = located(path, given)
            remove_manifest(path, given)
        saved = super().save_to_path(path, filesystem=given, **kwargs)
        description, tensors = self.bundle()
        write_bundle(Path(saved) / BUNDLE, description, tensors, given)
        write_manifest(Path(saved), given)
        return saved

    def bundle(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """Description and weights of a bundle of the present policies, see `write_bundle`."""
        found = self.learner_group.foreach_learner(lambda one: described(one.module.items()))
        policies, tensors = next(iter(found)).get()
        game = game_described(
            self.config,
            agent_action_spaces(self.spaces[INPUT_ENV_SINGLE_SPACES]),
            connectors_of(self.config, self.env_runner),
            type(self).__name__,
            provenance().get("rommeo-rllib", "unknown"),
        )
        return game | policies, tensors

    def restore_from_path(self, path: str | Path, *args: Any, **kwargs: Any) -> None:
        """Restores as RLlib does, but never in part.

        Policies that were added or removed while the saved algorithm ran are added and removed
        here, too.

        Raises:
            ValueError: if a file is missing or damaged, or a stored policy is not among those of
                this algorithm; it names the file or the policy. Nothing is changed then.
        """
        filesystem, folder = located(path, kwargs.pop("filesystem", None))
        component = kwargs.pop("component", None)
        if component is not None:
            check_component(folder, component, filesystem)
            kwargs["component"] = component
        else:
            check_manifest(folder, filesystem)
            self._follow(_stored_policies(folder, filesystem))
        self._forget_older_weights()
        with nothing_dropped(self._env_runner_groups().values()):
            super().restore_from_path(folder, *args, filesystem=filesystem, **kwargs)
            self._hand_out_weights()

    def _forget_older_weights(self) -> None:
        """RLlib takes up weights only if they have seen more updates than the present ones."""
        for group in self._env_runner_groups().values():
            group.foreach_env_runner(expect_any_weights)
        self.learner_group.foreach_learner(expect_any_weights)

    def _hand_out_weights(self) -> None:
        for group in self._env_runner_groups().values():
            group.sync_weights(from_worker_or_learner_group=self.learner_group, inference_only=True)
        # Which policies are computed together may have changed.
        self._share_policies()

    def _env_runner_groups(self) -> dict[str, EnvRunnerGroup]:
        """Those of training and of evaluation, if it has one."""
        groups = {
            COMPONENT_ENV_RUNNER: self.env_runner_group,
            COMPONENT_EVAL_ENV_RUNNER: self.eval_env_runner_group,
        }
        return {name: group for name, group in groups.items() if group is not None}

    def _get_remote_sampling(self) -> dict[str, dict[int, dict[str, Any]]]:
        """Of each group and remote env runner; one that does not answer in time is left out."""
        return {
            name: dict(
                group.foreach_env_runner(
                    lambda env_runner: (env_runner.worker_index, env_runner.get_sampling_state()),
                    local_env_runner=False,
                    timeout_seconds=self.config.sample_timeout_s,
                )
            )
            for name, group in self._env_runner_groups().items()
        }

    def _set_remote_sampling(self, stored: Mapping[str, Mapping[int, dict[str, Any]]]) -> None:
        """Env runners that are not in there begin new episodes."""
        for name, group in self._env_runner_groups().items():
            states = stored.get(name, {})

            def restore(env_runner: Any, states: Mapping[int, Any] = states) -> None:
                env_runner.set_sampling_state(states.get(env_runner.worker_index, {}))

            group.foreach_env_runner(restore, local_env_runner=False)

    def get_state(
        self,
        components: str | Collection[str] | None = None,
        *,
        not_components: str | Collection[str] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """RLlib's state, the replay buffers', remote env runners', and the updates that are due."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self.config.store_buffer_in_checkpoints:
            for name, buffer in self._named_replay_buffers().items():
                if is_asked_for(self, name, components, not_components):
                    state[name] = buffer.get_state()
        state[UPDATE_DEBT] = self._update_debt
        state[LAST_EPISODES] = self._last_episodes
        if components is None:
            self._note_policies_of_learners()
            stored = StoredPolicies(
                self._policy_changes,
                self._policy_shapes(),
                self.config.policy_mapping_fn,
                self.config.policies_to_train,
            )
            # As bytes, which msgpack can write, too.
            state[POLICIES] = pickle.dumps(stored)
            state[REMOTE_SAMPLING] = pickle.dumps(self._get_remote_sampling())
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes up a state of :meth:`get_state`.

        Raises:
            ValueError: if a policy in it is not among those of this algorithm. Nothing is changed
                then.
        """
        if POLICIES in state:
            self._follow(pickle.loads(state[POLICIES]))
        if not self._samples_locally:
            # What is under way was begun in another life.
            self._remote_sampler.drop()
        self._forget_older_weights()
        with nothing_dropped(self._env_runner_groups().values()):
            super().set_state(state)
        if COMPONENT_EVAL_ENV_RUNNER in state and self.eval_env_runner is not None:
            # RLlib hands it the state of training's.
            self.eval_env_runner.set_state(state[COMPONENT_EVAL_ENV_RUNNER])
        # Of an older version's state, all remote env runners begin new episodes.
        remote = pickle.loads(state[REMOTE_SAMPLING]) if REMOTE_SAMPLING in state else {}
        self._set_remote_sampling(remote)
        self._share_policies()
        for name, buffer in self._named_replay_buffers().items():
            if name in state:
                buffer.set_state(state[name])
        self._update_debt = state.get(UPDATE_DEBT, 0.0)
        self._last_episodes = state.get(LAST_EPISODES, {})


def _change_settings(holder: Any, settings: Mapping[str, Any]) -> None:
    with thawed(holder.config):
        for name, value in settings.items():
            setattr(holder.config, name, value)


def _stored_policies(folder: Path, filesystem: FileSystem) -> StoredPolicies:
    file = (folder / Algorithm.STATE_FILE_NAME).as_posix()
    try:
        with filesystem.open_input_stream(f"{file}.pkl") as opened:
            state = pickle.load(opened)
    except FileNotFoundError:
        with filesystem.open_input_stream(f"{file}.msgpack") as opened:
            state = try_import_msgpack(error=True).load(opened, strict_map_key=False)
    return pickle.loads(state[POLICIES])
