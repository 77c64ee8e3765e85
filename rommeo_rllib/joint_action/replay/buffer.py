"""Replay of joint transitions: a storage, a sampler, and the batches that are made of both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import gymnasium as gym
import numpy as np
from ray.rllib.core.columns import Columns
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.joint_action.replay.columns import (
    DISCOUNTS,
    INDICES,
    NEXT_ABSENT,
    OPPONENT_ACTIONS,
    RECENT,
    WEIGHTS,
    Batch,
    opponent_column,
)
from rommeo_rllib.joint_action.replay.files import ReplayFiles
from rommeo_rllib.joint_action.replay.samplers import Drawn, UniformSampler
from rommeo_rllib.joint_action.replay.storage import JointStorage
from rommeo_rllib.joint_action.replay.transitions import EpisodeJoiner, JointSteps
from rommeo_rllib.joint_action.spaces.agents import AgentID, OpponentGroups, opponents_by_agent
from rommeo_rllib.joint_action.spaces.encoding import encode_actions
from rommeo_rllib.joint_action.spaces.opponent_mask import NEXT_OPPONENT_MASK, OPPONENT_MASK
from rommeo_rllib.joint_action.spaces.packing import blank
from rommeo_rllib.joint_action.spaces.replicas import ReplicaBatches, replica_id


class ReplayOfReplica(ReplayFiles):
    """What a replay holds of one replica, as checkpoints store it."""

    def __init__(self, storage: JointStorage, sampler: UniformSampler, replica: int):
        self.storage = storage
        self.sampler = sampler
        self.replica = replica
        self._joiner = EpisodeJoiner()

    def __len__(self) -> int:
        return int(self.storage.sizes[self.replica])

    def get_state(
        self, components: Any = None, *, not_components: Any = None, **kwargs: Any
    ) -> dict[str, Any]:
        """The stored transitions, oldest first, and what else is needed to continue."""
        parts = [part.get_state(self.replica) for part in (self.storage, self.sampler)]
        return {
            kind: {name: value for part in parts for name, value in part[kind].items()}
            for kind in ("arrays", "manifest")
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Replaces the content by that of `state`; of more rows than fit, the newest are kept.

        Raises:
            ValueError: if the state is of other agents, or its arrays do not fit together.
        """
        self._joiner = EpisodeJoiner()
        self.storage.set_state(self.replica, state)
        self.sampler.set_state(self.replica, state)

    def get_ctor_args_and_kwargs(self) -> tuple[tuple, dict[str, Any]]:
        """What RLlib stores to build an equal one; ours are built from the configuration."""
        return (), {}


class JointReplayBuffer(ReplayOfReplica):
    """Keeps joint transitions, and makes a batch for each policy, aligned by env step.

    Agent ids are sorted; an agent's opponents are all others, or those in its group, in that order.

    Args:
        capacity: env steps kept of each replica; the oldest goes first.
        action_spaces: the action space of each agent, as RLlib stores its actions.
        seed: seeds the drawing of batches; replica r draws as a replay with a seed r higher would.
        opponent_groups: for some agents, whom they model; all others model everybody.
        observation_spaces: what is stored of each agent's observations; without it columns have the
            shapes and types of the first values.
        replicas: independent games whose transitions are kept apart.
        make_sampler: makes the sampler, from a storage and a seed.
        n_step: batches look this many of an agent's own steps ahead: rewards are discounted sums,
            next states those that many steps later. Where the agent's stored steps end sooner, at
            the end of an episode or of what has been sampled so far, the row looks ahead that far.
            For (least, most) each row draws its own.

    Attributes:
        of_replicas: what is held of each replica.

    Raises:
        ValueError: if `capacity` is not positive.
    """

    def __init__(
        self,
        capacity: int,
        action_spaces: Mapping[AgentID, gym.Space],
        seed: int | None = None,
        opponent_groups: OpponentGroups | None = None,
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
        replicas: int = 1,
        make_sampler: Callable[[JointStorage, int | None], UniformSampler] = UniformSampler,
        *,
        n_step: int | tuple[int, int] = 1,
    ):
        steps = (n_step, n_step) if isinstance(n_step, int) else n_step
        self._least_steps, self._most_steps = steps
        links = self._most_steps > 1
        storage = JointStorage(capacity, action_spaces, observation_spaces, replicas, links=links)
        super().__init__(storage, make_sampler(storage, seed), 0)
        self.of_replicas: list[ReplayOfReplica] = [
            self,
            *(ReplayOfReplica(storage, self.sampler, replica) for replica in range(1, replicas)),
        ]
        self.agents = storage.agents
        self._opponents = opponents_by_agent(self.agents, opponent_groups)
        self._numbers = {agent: number for number, agent in enumerate(self.agents)}
        self._encode = {
            agent: partial(encode_actions, space) for agent, space in storage.action_spaces.items()
        }
        self._no_action = {
            agent: np.zeros(size, np.float32) for agent, size in storage.action_sizes.items()
        }
        # Who acted in all rows, when a batch was last drawn.
        self._ever_present: set[AgentID] = set()

    def add(self, episodes: Sequence[MultiAgentEpisode]) -> None:
        """Stores the joint transitions of all chunks that one round of sampling brought.

        Raises:
            ValueError: if a reward is not finite, or an agent is not among the environment's.
        """
        for steps in self._joiner.join(episodes):
            self.add_steps(steps)

    def add_steps(self, steps: JointSteps) -> None:
        """Stores joint transitions; raises as :meth:`add` does."""
        self.sampler.note_added(self.storage.add(steps))

    def sample(
        self,
        policies: Iterable[str],
        batch_size: int,
        recent_window: int | None = None,
        observation_spaces: Mapping[AgentID, gym.Space] | None = None,
        gammas: Mapping[str, float] | None = None,
        *,
        env_steps: int = 0,
        shared_rows: bool = False,
    ) -> Mapping[str, Batch]:
        """A batch for each policy, drawn from the steps it acted in.

        Args:
            policies: policy ids; one that has not acted yet gets no batch.
            batch_size: rows of each batch.
            recent_window: if given, as many rows again, under names that begin with `RECENT`, are
                drawn from this many most recent env steps.
            observation_spaces: if given, those of all agents: batches then also have what each
                opponent observed, under the names that `opponent_column` gives.
            gammas: the discount of each policy, of which `DISCOUNTS` are made. Without it the
                column is left out, and rows look a single step ahead.
            env_steps: the clock of the sampler's schedules.
            shared_rows: whether all policies get the same env steps, drawn uniformly from those in
                which all acted, as the loss of a team needs it.

        Returns:
            For each policy, or, with replicas, for each module id: obs, actions, rewards, new_obs,
            terminateds, opponent_actions, opponent_mask, next_opponent_mask, discounts. All have
            `batch_size` rows, aligned by env step; actions are as the networks see them.
        """
        policies = list(policies)
        self._ever_present = {a for a in self.agents if self.storage.acts_always(a)}
        replicas = range(self.storage.replicas)
        shared = [
            self.sampler.draw_shared(policies, replica, batch_size)
            for replica in replicas
            if shared_rows
        ]
        batches: dict[str, Batch] = {}
        common: dict[str, Batch] = {}
        for number, policy in enumerate(policies):
            drawn, recent = [], []
            for replica in replicas:
                rows = (
                    shared[replica][number]
                    if shared_rows
                    else self.sampler.draw(policy, replica, batch_size, env_steps)
                )
                drawn.append([self._with_horizons(one, replica) for one in rows])
                if recent_window is not None and rows:
                    # A policy that has been absent of late learns from all that it has seen.
                    newest = self.sampler.draw_recent(policy, replica, batch_size, recent_window)
                    recent.append(newest or rows)
                else:
                    recent.append([])
            gamma = None if gammas is None else gammas[policy]
            together = _of_one_agent(drawn, recent) if len(replicas) > 1 else None
            if together is not None:
                batch = self._batch(*together, observation_spaces, gamma)
                common[policy] = {
                    name: column.reshape(len(replicas), batch_size, *column.shape[1:])
                    for name, column in batch.items()
                }
                continue
            for replica, (rows, newest) in enumerate(zip(drawn, recent, strict=True)):
                if rows:
                    name = replica_id(policy, replica) if len(replicas) > 1 else policy
                    batches[name] = self._batch(rows, newest, observation_spaces, gamma)
        if not batches and common:
            return ReplicaBatches(common)
        return batches | (dict(ReplicaBatches(common)) if common else {})

    def note_errors(self, indices: np.ndarray, errors: np.ndarray) -> None:
        """Tells the sampler the TD errors of rows, by the batch's `INDICES`."""
        agents, rows = np.divmod(indices, self.storage.replicas * self.storage.capacity)
        for number in np.unique(agents):
            of_agent = agents == number
            self.sampler.note_errors(self.agents[number], rows[of_agent], errors[of_agent])

    def _batch(
        self,
        drawn: Sequence[Drawn],
        recent: Sequence[Drawn],
        observation_spaces: Mapping[AgentID, gym.Space] | None,
        gamma: float | None,
    ) -> Batch:
        batch = _concatenated([self._gather(one, observation_spaces, gamma) for one in drawn])
        if recent:
            columns = _concatenated([self._gather_recent(one) for one in recent])
            batch |= {RECENT + name: column for name, column in columns.items()}
        return batch

    def _gather(
        self,
        drawn: Drawn,
        observation_spaces: Mapping[AgentID, gym.Space] | None,
        gamma: float | None,
    ) -> Batch:
        """The batch of one agent's rows."""
        agent, rows = drawn.agent, drawn.rows
        own = self.storage.columns[agent]
        batch = {
            Columns.OBS: own[Columns.OBS][rows],
            Columns.ACTIONS: self._encode[agent](own[Columns.ACTIONS][rows]),
            Columns.REWARDS: own[Columns.REWARDS][rows],
        }
        last = rows
        if gamma is not None:
            last = self._look_ahead(drawn, gamma, batch)
        batch[Columns.NEXT_OBS] = own[Columns.NEXT_OBS][last]
        batch[Columns.TERMINATEDS] = own[Columns.TERMINATEDS][last]
        if self._opponents[agent]:  # Else of a policy that does not learn here.
            batch |= self._of_opponents(agent, rows)
            batch[NEXT_OPPONENT_MASK] = self._next_opponent_mask(agent, last)
        if observation_spaces is not None:
            batch |= self._opponent_observations(agent, rows, last, observation_spaces)
            # What a newcomer will observe is not among what those who act now see next.
            batch[NEXT_OPPONENT_MASK] *= self._present_mask(self._opponents[agent], last)
        if drawn.weights is not None:
            rows_of_all = self.storage.replicas * self.storage.capacity
            batch[INDICES] = rows + self._numbers[agent] * rows_of_all
            batch[WEIGHTS] = drawn.weights
        return batch

    def _with_horizons(self, drawn: Drawn, replica: int) -> Drawn:
        if self._most_steps == 1:
            return drawn
        rng = self.sampler.rngs[replica]
        horizons = rng.integers(self._least_steps, self._most_steps + 1, len(drawn.rows))
        return dataclasses.replace(drawn, horizons=horizons)

    def _look_ahead(self, drawn: Drawn, gamma: float, batch: Batch) -> np.ndarray:
        """Adds later rewards and the discounts to a batch; the rows of its last steps."""
        rewards, discounts = batch[Columns.REWARDS], np.full(len(drawn.rows), gamma, np.float32)
        batch[DISCOUNTS] = discounts
        if drawn.horizons is None:
            return drawn.rows
        last = drawn.rows.copy()
        for step in range(1, self._most_steps):
            ahead = np.flatnonzero(drawn.horizons > step)
            following = self.storage.next_own_rows(drawn.agent, last[ahead])
            ahead, following = ahead[following >= 0], following[following >= 0]
            last[ahead] = following
            later = self.storage.columns[drawn.agent][Columns.REWARDS][following]
            rewards[ahead] += discounts[ahead] * later
            discounts[ahead] *= np.float32(gamma)
        return last

    def _gather_recent(self, drawn: Drawn) -> Batch:
        """What the prior learns from: observations, and what the opponents did."""
        batch = {Columns.OBS: self.storage.columns[drawn.agent][Columns.OBS][drawn.rows]}
        if self._opponents[drawn.agent]:
            batch |= self._of_opponents(drawn.agent, drawn.rows)
        return batch

    def _of_opponents(self, agent: AgentID, rows: np.ndarray) -> Batch:
        """Who else acted, (B, opponents), and how, (B, their action size)."""
        opponents = self._opponents[agent]
        actions = [self._actions(opponent, rows) for opponent in opponents]
        return {
            OPPONENT_MASK: self._present_mask(opponents, rows),
            OPPONENT_ACTIONS: actions[0] if len(actions) == 1 else np.concatenate(actions, -1),
        }

    def _present_mask(self, opponents: Sequence[AgentID], rows: np.ndarray) -> np.ndarray:
        """1 for each opponent that acted, (B, opponents)."""
        mask = np.ones((len(rows), len(opponents)), np.float32)
        for number, opponent in enumerate(opponents):
            if opponent not in self._ever_present:
                mask[:, number] = self.storage.present(opponent, rows)
        return mask

    def _actions(self, opponent: AgentID, rows: np.ndarray) -> np.ndarray:
        """An opponent's actions as the networks see them; 0 where it did not act."""
        nothing, encode = self._no_action[opponent], self._encode[opponent]
        return self._where_present(opponent, Columns.ACTIONS, rows, nothing, encode)

    def _where_present(
        self,
        opponent: AgentID,
        name: str,
        rows: np.ndarray,
        otherwise: np.ndarray,
        change: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> np.ndarray:
        """An opponent's column, changed, and `otherwise` in rows in which it did not act."""
        own = self.storage.columns.get(opponent)
        if own is not None and opponent in self._ever_present:
            return change(own[name][rows])
        column = np.repeat(otherwise[np.newaxis], len(rows), axis=0)
        if own is not None:
            present = self.storage.present(opponent, rows)
            column[present] = change(own[name][rows[present]])
        return column

    def _next_opponent_mask(self, agent: AgentID, rows: np.ndarray) -> np.ndarray:
        """1 for each opponent that acts at the agent's own next step, (B, opponents)."""
        opponents = self._opponents[agent]
        own = self.storage.columns[agent]
        if NEXT_ABSENT not in own:
            return np.ones((len(rows), len(opponents)), np.float32)
        absent = own[NEXT_ABSENT][rows][:, [self._numbers[opponent] for opponent in opponents]]
        return (~absent).astype(np.float32)

    def _opponent_observations(
        self,
        agent: AgentID,
        rows: np.ndarray,
        last: np.ndarray,
        spaces: Mapping[AgentID, gym.Space],
    ) -> Batch:
        return {
            opponent_column(name, number): self._where_present(
                opponent, name, seen_at, blank(spaces[opponent])
            )
            for number, opponent in enumerate(self._opponents[agent])
            for name, seen_at in ((Columns.OBS, rows), (Columns.NEXT_OBS, last))
        }


def _of_one_agent(
    drawn: Sequence[Sequence[Drawn]], recent: Sequence[Sequence[Drawn]]
) -> tuple[list[Drawn], list[Drawn]] | None:
    """All replicas' rows together, if the policy acts for one and the same agent in each."""
    kinds = [drawn, recent] if any(recent) else [drawn]
    agents = {one.agent for kind in kinds for of_replica in kind for one in of_replica}
    if len(agents) != 1 or any(len(of_replica) != 1 for kind in kinds for of_replica in kind):
        return None
    together = [[_joined([one for (one,) in kind])] for kind in kinds]
    return together[0], together[1] if len(together) > 1 else []


def _joined(parts: Sequence[Drawn]) -> Drawn:
    weights = [part.weights for part in parts if part.weights is not None]
    horizons = [part.horizons for part in parts if part.horizons is not None]
    return Drawn(
        parts[0].agent,
        np.concatenate([part.rows for part in parts]),
        np.concatenate(weights) if weights else None,
        np.concatenate(horizons) if horizons else None,
    )


def _concatenated(parts: Sequence[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
