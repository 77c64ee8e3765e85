"""Replay of joint transitions, in contiguous arrays."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pyarrow.fs
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode
from ray.rllib.utils.checkpoints import Checkpointable

from rommeo_rllib.joint_action.spaces import AgentID, encode_actions, opponents_of, sorted_agents
from rommeo_rllib.joint_action.transitions import AgentTransitions, EpisodeJoiner, JointSteps

OPPONENT_ACTIONS = "opponent_actions"
"""All opponents' actions at the row's env step, as the networks see them; 0 where absent."""

OPPONENT_MASK = "opponent_mask"
"""1 for each opponent that acted at the row's env step, else 0."""

PRIOR = "prior_"
"""Prefix of the columns that the opponent prior is fitted on."""

_ABSENT = -1
_DATA_FILE = "transitions.npz"
_MANIFEST_FILE = "manifest.json"
_TRANSITION_COLUMNS = (
    Columns.OBS,
    Columns.ACTIONS,
    Columns.REWARDS,
    Columns.NEXT_OBS,
    Columns.TERMINATEDS,
)

Batch = dict[str, np.ndarray]


class JointReplayBuffer(Checkpointable):
    """A ring of joint transitions: a row an env step, with the transitions of all who acted.

    Memory is the raw arrays' and grows linearly with the number of agents. Agent ids are sorted;
    an agent's opponents are all others, in that order.

    Args:
        capacity: env steps kept; the oldest goes first.
        action_spaces: the action space of each agent, as RLlib stores its actions.
        seed: seeds the drawing of batches.

    Raises:
        ValueError: if `capacity` is not positive.
    """

    def __init__(
        self, capacity: int, action_spaces: Mapping[AgentID, gym.Space], seed: int | None = None
    ):
        if capacity < 1:
            raise ValueError(f"`capacity` is {capacity}; allowed: at least 1 env step.")
        self.capacity = capacity
        self.agents = sorted_agents(action_spaces)
        self._action_spaces = dict(action_spaces)
        self._joiner = EpisodeJoiner()
        self._rng = np.random.default_rng(seed)
        self._columns: dict[AgentID, dict[str, np.ndarray]] = {}
        # For each agent and row the number of the policy that acted, or _ABSENT.
        self._acted_by = {agent: np.full(capacity, _ABSENT, np.int16) for agent in self.agents}
        self._counts: dict[AgentID, np.ndarray] = {}
        self._policies: list[str] = []
        self._size = 0
        self._next_row = 0

    def __len__(self) -> int:
        return self._size

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays at full capacity."""
        columns = (array for agent in self._columns.values() for array in agent.values())
        acted = (array for array in self._acted_by.values())
        return sum(a.nbytes for a in columns) + sum(a.nbytes for a in acted)

    def add(self, episodes: Sequence[MultiAgentEpisode]) -> None:
        """Stores the joint transitions of all chunks that one round of sampling brought.

        Raises:
            ValueError: if a reward is not finite, or an agent is not among the environment's.
        """
        for steps in self._joiner.join(episodes):
            self._add_joint_steps(steps)

    def sample(
        self, policies: Iterable[str], batch_size: int, prior_window: int | None = None
    ) -> dict[str, Batch]:
        """A batch for each policy, drawn uniformly with replacement from the steps it acted in.

        Args:
            policies: policy ids; one that has not acted yet gets no batch.
            batch_size: rows of each batch.
            prior_window: if given, as many rows again, under names that begin with "prior_", are
                drawn from this many most recent env steps.

        Returns:
            For each policy: obs, actions, rewards, new_obs, terminateds, opponent_actions,
            opponent_mask. All have `batch_size` rows, aligned by env step; actions are as the
            networks see them.
        """
        batches = {}
        for policy in policies:
            picked = self._draw(policy, batch_size, self._size)
            if not picked:
                continue
            batches[policy] = self._gather(picked, _TRANSITION_COLUMNS)
            if prior_window is not None:
                # A policy that has been absent of late learns from all that it has seen.
                recent = self._draw(policy, batch_size, min(prior_window, self._size)) or picked
                prior = self._gather(recent, (Columns.OBS,))
                batches[policy] |= {PRIOR + name: column for name, column in prior.items()}
        return batches

    def _add_joint_steps(self, steps: JointSteps) -> None:
        # More steps than fit: only the newest can stay.
        dropped = max(steps.length - self.capacity, 0)
        rows = (self._next_row + np.arange(dropped, steps.length)) % self.capacity
        for agent in self.agents:
            self._mark(agent, rows, np.full(len(rows), _ABSENT, np.int16))
        for agent, transitions in steps.agents.items():
            if agent not in self._acted_by:
                raise ValueError(
                    f"Agent {agent!r} acted, but the environment's `possible_agents` are "
                    f"{self.agents}."
                )
            self._write(agent, transitions, rows, dropped)
        self._next_row = (self._next_row + steps.length) % self.capacity
        self._size = min(self._size + steps.length, self.capacity)

    def _write(
        self, agent: AgentID, transitions: AgentTransitions, rows: np.ndarray, dropped: int
    ) -> None:
        kept = transitions.rows >= dropped
        target = rows[transitions.rows[kept] - dropped]
        values = (
            transitions.obs,
            transitions.actions,
            transitions.rewards,
            transitions.next_obs,
            transitions.terminated,
        )
        if agent not in self._columns:
            self._columns[agent] = {
                name: np.zeros((self.capacity, *value.shape[1:]), value.dtype)
                for name, value in zip(_TRANSITION_COLUMNS, values, strict=True)
            }
        for name, value in zip(_TRANSITION_COLUMNS, values, strict=True):
            self._columns[agent][name][target] = value[kept]
        number = self._policy_number(transitions.policy)
        self._mark(agent, target, np.full(len(target), number, np.int16))

    def _mark(self, agent: AgentID, rows: np.ndarray, policy_numbers: np.ndarray) -> None:
        acted_by, size = self._acted_by[agent], len(self._policies) + 2
        counts = np.zeros(size, np.int64)
        previous = self._counts.get(agent, counts[:0])
        counts[: len(previous)] = previous
        counts -= np.bincount(acted_by[rows] + 1, minlength=size)
        counts += np.bincount(policy_numbers + 1, minlength=size)
        acted_by[rows] = policy_numbers
        self._counts[agent] = counts

    def _policy_number(self, policy: str) -> int:
        if policy not in self._policies:
            self._policies.append(policy)
        return self._policies.index(policy)

    def _draw(self, policy: str, batch_size: int, window: int) -> list[tuple[AgentID, np.ndarray]]:
        """Rows among the `window` newest in which `policy` acted, with the agent it acted for."""
        if policy not in self._policies:
            return []
        number = self._policies.index(policy)
        counts = np.array([self._count(agent, number, window) for agent in self.agents])
        if counts.sum() == 0:
            return []
        shares = self._rng.multinomial(batch_size, counts / counts.sum())
        return [
            (agent, self._draw_rows(agent, number, int(share), count / window, window))
            for agent, share, count in zip(self.agents, shares, counts, strict=True)
            if share
        ]

    def _count(self, agent: AgentID, number: int, window: int) -> int:
        if window == self._size:
            counts = self._counts.get(agent)
            return int(counts[number + 1]) if counts is not None and len(counts) > number + 1 else 0
        rows = (self._next_row - 1 - np.arange(window)) % self.capacity
        return int(np.count_nonzero(self._acted_by[agent][rows] == number))

    def _draw_rows(
        self, agent: AgentID, number: int, count: int, density: float, window: int
    ) -> np.ndarray:
        acted_by = self._acted_by[agent]
        found: list[np.ndarray] = []
        missing = count
        while missing > 0:
            age = self._rng.integers(window, size=int(np.ceil(missing / density)))
            rows = (self._next_row - 1 - age) % self.capacity
            rows = rows[acted_by[rows] == number][:missing]
            found.append(rows)
            missing -= len(rows)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _gather(
        self, picked: Sequence[tuple[AgentID, np.ndarray]], columns: Sequence[str]
    ) -> Batch:
        parts = [self._gather_agent(agent, rows, columns) for agent, rows in picked]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _gather_agent(self, agent: AgentID, rows: np.ndarray, columns: Sequence[str]) -> Batch:
        own = self._columns[agent]
        batch = {name: own[name][rows] for name in columns}
        if Columns.ACTIONS in batch:
            batch[Columns.ACTIONS] = encode_actions(
                self._action_spaces[agent], batch[Columns.ACTIONS]
            )
        opponents = opponents_of(agent, self.agents)
        acted = [self._acted_by[opponent][rows] != _ABSENT for opponent in opponents]
        batch[OPPONENT_MASK] = np.stack(acted, axis=-1).astype(np.float32)
        batch[OPPONENT_ACTIONS] = np.concatenate(
            [
                self._opponent_actions(opponent, rows, present)
                for opponent, present in zip(opponents, acted, strict=True)
            ],
            axis=-1,
        )
        return batch

    def _opponent_actions(
        self, opponent: AgentID, rows: np.ndarray, present: np.ndarray
    ) -> np.ndarray:
        space = self._action_spaces[opponent]
        if opponent not in self._columns:
            width = gym.spaces.flatdim(space)
            return np.zeros((len(rows), width), np.float32)
        actions = self._columns[opponent][Columns.ACTIONS]
        if present.all():
            return encode_actions(space, actions[rows])
        encoded = np.zeros((len(rows), gym.spaces.flatdim(space)), np.float32)
        encoded[present] = encode_actions(space, actions[rows[present]])
        return encoded

    # Checkpoints: arrays in one .npz without pickled objects, the rest in a JSON manifest.

    def get_state(
        self,
        components: Any = None,
        *,
        not_components: Any = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The stored transitions, oldest first, and what else is needed to go on as before."""
        rows = (self._next_row - self._size + np.arange(self._size)) % self.capacity
        arrays = {}
        for index, agent in enumerate(self.agents):
            arrays[f"{index}/acted_by"] = self._acted_by[agent][rows]
            for name, column in self._columns.get(agent, {}).items():
                arrays[f"{index}/{name}"] = column[rows]
        manifest = {
            "agents": [str(agent) for agent in self.agents],
            "policies": self._policies,
            "rng": self._rng.bit_generator.state,
            "size": self._size,
        }
        return {"arrays": arrays, "manifest": manifest}

    def set_state(self, state: dict[str, Any]) -> None:
        """Replaces the content by that of `state`; of more rows than fit, the newest are kept.

        Raises:
            ValueError: if the state is of other agents, or its arrays do not fit together.
        """
        manifest, arrays = state["manifest"], state["arrays"]
        agents = [str(agent) for agent in self.agents]
        if manifest["agents"] != agents:
            raise ValueError(
                f"The stored replay is of the agents {manifest['agents']}, the environment's are "
                f"{agents}."
            )
        wrong = {n: len(a) for n, a in arrays.items() if len(a) != manifest["size"]}
        if wrong:
            raise ValueError(
                f"The stored replay has {manifest['size']} rows by its manifest, but {wrong}."
            )
        for index, agent in enumerate(self.agents):
            stored, space = arrays.get(f"{index}/{Columns.ACTIONS}"), self._action_spaces[agent]
            if stored is not None and stored.shape[1:] != space.shape:
                raise ValueError(
                    f"The stored replay has actions of the shape {stored.shape[1:]} for agent "
                    f"{agent!r}, whose action space is {space}."
                )
        size = min(manifest["size"], self.capacity)
        self._policies = list(manifest["policies"])
        self._size, self._next_row = size, size % self.capacity
        self._counts, self._columns, self._joiner = {}, {}, EpisodeJoiner()
        for index, agent in enumerate(self.agents):
            self._acted_by[agent][:] = _ABSENT
            self._mark(agent, np.arange(size), _newest(arrays[f"{index}/acted_by"], size))
            columns = {}
            for name in _TRANSITION_COLUMNS:
                stored = arrays.get(f"{index}/{name}")
                if stored is not None:
                    columns[name] = np.zeros((self.capacity, *stored.shape[1:]), stored.dtype)
                    columns[name][:size] = _newest(stored, size)
            if columns:
                self._columns[agent] = columns
        self._rng.bit_generator.state = manifest["rng"]

    def save_to_path(
        self,
        path: str | Path | None = None,
        *,
        state: dict[str, Any] | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        use_msgpack: bool = False,
    ) -> str:
        """Writes plain arrays into `transitions.npz` and the rest into `manifest.json`."""
        if path is None:
            raise ValueError("`path` is None; give the folder to write the replay buffer to.")
        if filesystem is None:
            filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
        state = state or self.get_state()
        folder = Path(path)
        filesystem.create_dir(folder.as_posix(), recursive=True)
        with filesystem.open_output_stream((folder / _DATA_FILE).as_posix()) as file:
            np.savez(file, **state["arrays"])
        with filesystem.open_output_stream((folder / _MANIFEST_FILE).as_posix()) as file:
            file.write(json.dumps(state["manifest"]).encode())
        return str(path)

    def restore_from_path(
        self,
        path: str | Path,
        *,
        component: str | None = None,
        filesystem: pyarrow.fs.FileSystem | None = None,
        **kwargs: Any,
    ) -> None:
        """Reads what :meth:`save_to_path` wrote.

        Raises:
            ValueError: if a file is missing or damaged; it names the file.
        """
        if filesystem is None:
            filesystem, path = pyarrow.fs.FileSystem.from_uri(str(path))
        folder = Path(path)
        reading = folder / _MANIFEST_FILE
        try:
            with filesystem.open_input_stream(reading.as_posix()) as file:
                manifest = json.loads(file.read())
            reading = folder / _DATA_FILE
            with filesystem.open_input_file(reading.as_posix()) as file:
                stored = np.load(file, allow_pickle=False)
                arrays = {name: stored[name] for name in stored.files}
            self.set_state({"arrays": arrays, "manifest": manifest})
        except Exception as error:
            raise ValueError(
                f"The replay buffer in the checkpoint cannot be read: {reading}: {error}. Without "
                f"the folder {folder} the run restores with an empty buffer."
            ) from error

    def get_ctor_args_and_kwargs(self) -> tuple[tuple, dict[str, Any]]:
        """What RLlib stores to build an equal buffer."""
        return (self.capacity, self._action_spaces), {}


def _newest(array: np.ndarray, count: int) -> np.ndarray:
    return array[len(array) - count :]
