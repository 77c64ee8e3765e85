"""Sampling without per-step bookkeeping, for one or many replicas of an environment.

RLlib's env runner builds episode objects and runs connector pipelines and callbacks at every env
step. Where nobody asked for any of that, joint transitions can be written down directly, and
policies of equal shape act together. What comes out is what RLlib's own way gives with the same
seed, step by step.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from ray.rllib.env.multi_agent_env import MultiAgentEnv
from ray.rllib.env.multi_agent_episode import MultiAgentEpisode

from rommeo_rllib.joint_action.modules.policy import JointActionPolicy
from rommeo_rllib.joint_action.modules.stacking import PolicyGroup
from rommeo_rllib.joint_action.replay.transitions import JointSteps, has_terminated
from rommeo_rllib.joint_action.sampling.fast_rows import Row, Transition, in_columns
from rommeo_rllib.joint_action.spaces.agents import AgentID, sorted_agents
from rommeo_rllib.joint_action.spaces.encoding import decode_actions, env_actions
from rommeo_rllib.joint_action.spaces.packing import is_composite, pack
from rommeo_rllib.joint_action.spaces.replicas import replica_id
from rommeo_rllib.rng import PolicyRng


@dataclass
class EpisodeResult:
    """What is reported of an episode that has ended."""

    replica: int
    length: int
    returns: dict[AgentID, float]
    agent_steps: dict[AgentID, int]
    policies: dict[AgentID, str]
    seconds: float


@dataclass(slots=True)
class _Game:
    """One environment, its present episode, and rows that are not handed out yet."""

    env: MultiAgentEnv
    replica: int
    seed: int | None
    policies: _PolicyOfAgent
    observations: dict[AgentID, Any] = field(default_factory=dict)
    returns: dict[AgentID, float] = field(default_factory=dict)
    agent_steps: dict[AgentID, int] = field(default_factory=dict)
    waiting: dict[AgentID, Transition] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    length: int = 0
    started: float = 0.0
    ended: bool = True


# What of a game is stored as it is.
_STORED = ("seed", "observations", "returns", "agent_steps", "waiting", "rows", "length", "ended")


_Actions: TypeAlias = dict[AgentID, tuple[Any, Any]]
"""For each agent its action as RLlib stores it, and as the environment wants it."""


class FastSampler:
    """Steps environments and writes joint transitions down.

    Args:
        envs: the environments, those of replica 0 first.
        replicas: number of replicas; each has the same number of environments.
        policy_mapping_fn: RLlib's, from agent and episode to policy.
        seed: seeds the environments on their first reset, each with one of its own.
        generators: a stream of random numbers for each module id.
        modelled: for each agent its opponents, in order.
        device: where policies compute.

    Attributes:
        policy_mapping_fn: as given; a new one holds from the next episodes on.
        env_steps: of replica 0, since counts were last taken.
    """

    def __init__(
        self,
        envs: Sequence[MultiAgentEnv],
        replicas: int,
        policy_mapping_fn: Callable[..., str],
        seed: int | None,
        generators: Mapping[str, torch.Generator],
        modelled: Mapping[AgentID, Sequence[AgentID]],
        device: torch.device | str | None = None,
    ):
        per_replica = len(envs) // replicas
        self._games = [
            _Game(
                env,
                index // per_replica,
                None if seed is None else seed + index // per_replica + index % per_replica,
                _PolicyOfAgent(policy_mapping_fn),
            )
            for index, env in enumerate(envs)
        ]
        self._replicas = replicas
        spaces = [env.get_observation_space(a) for env in envs[:1] for a in env.possible_agents]
        self._is_nested = any(map(is_composite, spaces))
        self.policy_mapping_fn = policy_mapping_fn
        self._generators = generators
        self._modelled = modelled
        self._everybody = frozenset(modelled)
        self._device = device
        self._finished: list[EpisodeResult] = []
        self._ended_rows: list[list[Row]] = [[] for _ in range(replicas)]
        self.env_steps = 0
        self._agent_steps: Counter[tuple[AgentID, str]] = Counter()

    def reset(self) -> None:
        """Drops the present episodes; each environment begins a new one."""
        for game in self._games:
            game.ended, game.rows, game.waiting = True, [], {}
            self._begin_episode(game)

    def get_state(self) -> list[dict[str, Any]]:
        """The present episodes, to continue once the environments have their states, too."""
        return [
            {
                **{name: getattr(game, name) for name in _STORED},
                "episode_id": game.policies.episode.id_,
                "policies": dict(game.policies),
            }
            for game in self._games
        ]

    def set_state(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Takes up a state of :meth:`get_state`, of as many environments."""
        for game, stored in zip(self._games, state, strict=True):
            for name in _STORED:
                setattr(game, name, stored[name])
            game.policies = _PolicyOfAgent(self.policy_mapping_fn, stored["episode_id"])
            game.policies.update(stored["policies"])
            game.started = time.perf_counter()

    def take_finished(self) -> list[EpisodeResult]:
        """The episodes that have ended since the last call."""
        finished, self._finished = self._finished, []
        return finished

    def take_counts(self) -> tuple[int, Counter[tuple[AgentID, str]]]:
        """Since the last call: `env_steps`, and replica 0's steps of each (agent, policy)."""
        counts = self.env_steps, self._agent_steps
        self.env_steps, self._agent_steps = 0, Counter()
        return counts

    def sample(
        self,
        groups: Sequence[PolicyGroup],
        *,
        env_steps: int | None = None,
        episodes: int | None = None,
        explore: bool,
    ) -> list[JointSteps]:
        """Plays on until each replica has made `env_steps` steps, or ended `episodes` episodes.

        Returns:
            The joint steps of each replica whose outcomes are known by now.
        """
        steps = [0] * self._replicas
        ended = [0] * self._replicas
        while True:
            going_on = [
                game
                for game in self._games
                if (env_steps is not None and steps[game.replica] < env_steps)
                or (episodes is not None and ended[game.replica] < episodes)
            ]
            if not going_on:
                return self._collect()
            actions = self._act(going_on, groups, explore)
            for game, game_actions in zip(going_on, actions, strict=True):
                # As RLlib does it: an environment that has ended is reset in a round of its own.
                if game.ended:
                    self._begin_episode(game)
                else:
                    self._step(game, game_actions)
                    steps[game.replica] += 1
                    ended[game.replica] += game.ended

    def _act(
        self, games: Sequence[_Game], groups: Sequence[PolicyGroup], explore: bool
    ) -> list[_Actions]:
        """Actions of all agents that are to act, for each game."""
        actors: dict[str, list[tuple[int, AgentID]]] = {}
        for index, game in enumerate(games):
            if not game.ended:
                for agent in sorted_agents(game.observations):
                    actors.setdefault(self._module_id(game, agent), []).append((index, agent))
        actions: list[_Actions] = [{} for _ in games]
        for group in groups:
            rows = [actors.get(module_id, []) for module_id in group.ids]
            # Together only if all have the same number of rows; else each policy on its own.
            together = len({len(one) for one in rows}) == 1
            for ids, policy, stacked in group.parts(together):
                batch = [actors.get(module_id, []) for module_id in ids]
                if not batch[0]:
                    continue
                places = [place for one in batch for place in one]
                observed = np.stack([games[i].observations[agent] for i, agent in places])
                observed = observed.reshape(len(batch), -1, *observed.shape[1:])
                rng = PolicyRng([self._generators[i] for i in ids], stacked=stacked)
                mask = self._opponent_mask(games, batch)
                chosen = self._choose(policy, observed, rng, explore, stacked, mask)
                to_env = env_actions(policy.action_space, chosen)
                for (i, agent), stored, sent in zip(places, chosen, to_env, strict=True):
                    actions[i][agent] = stored, sent
        return actions

    def _choose(
        self,
        policy: JointActionPolicy,
        observed: np.ndarray,
        rng: PolicyRng,
        explore: bool,
        stacked: bool,
        opponent_mask: np.ndarray | None,
    ) -> np.ndarray:
        """Actions as RLlib stores them, one policy's after the other: (policies * rows, ...).

        What is observed is (policies, rows, ...).
        """
        observations = torch.from_numpy(observed if stacked else observed[0])
        with torch.no_grad():
            encoded = policy.encode(observations.to(self._device))
            mask = None
            if opponent_mask is not None:
                mask = torch.from_numpy(opponent_mask if stacked else opponent_mask[0])
                mask = mask.to(self._device)
            actions = policy.choose(encoded, explore, rng, mask)
            actions = decode_actions(policy.action_space, actions)
        return (actions.flatten(0, 1) if stacked else actions).cpu().numpy()

    def _opponent_mask(
        self, games: Sequence[_Game], batch: Sequence[Sequence[tuple[int, AgentID]]]
    ) -> np.ndarray | None:
        """1 for each opponent that acts now, too, (policies, rows, opponents); None if all do."""
        if all(len(games[i].observations) == len(self._modelled) for one in batch for i, _ in one):
            return None
        present = [
            [[o in games[i].observations for o in self._modelled[agent]] for i, agent in one]
            for one in batch
        ]
        return np.array(present, np.float32)

    def _module_id(self, game: _Game, agent: AgentID) -> str:
        policy = game.policies[agent]
        return replica_id(policy, game.replica) if self._replicas > 1 else policy

    def _begin_episode(self, game: _Game) -> None:
        observations, _ = game.env.reset(seed=game.seed)
        game.seed = None
        game.policies = _PolicyOfAgent(self.policy_mapping_fn)
        game.observations = self._packed(observations)
        game.returns, game.agent_steps = {}, {}
        game.length, game.started, game.ended = 0, time.perf_counter(), False
        for agent in game.observations:
            game.returns[agent], game.agent_steps[agent] = 0.0, 0

    def _step(self, game: _Game, actions: _Actions) -> None:
        row: Row = {}
        to_env = {}
        episode = game.policies.episode.id_
        for agent, (action, sent) in actions.items():
            to_env[agent] = sent
            number = game.agent_steps.get(agent, 0)
            observed = game.observations[agent]
            transition = Transition(game.policies[agent], episode, number, observed, action)
            row[agent] = game.waiting[agent] = transition
            if game.replica == 0:
                self._agent_steps[agent, transition.policy] += 1
        self.env_steps += game.replica == 0
        if row:  # There are steps at which everybody waits.
            game.rows.append(row)
        observations, rewards, terminateds, truncateds, _ = game.env.step(to_env)
        observations = self._packed(observations)
        game.length += 1
        if True in terminateds.values() or True in truncateds.values():
            self._end_of_some(game, observations, rewards, terminateds, truncateds)
        else:
            all_act = len(observations) == len(self._everybody)
            acting = self._everybody if all_act else frozenset(observations)
            self._pay(game, rewards)
            for agent in [agent for agent in game.waiting if agent in observations]:
                self._complete(game, agent, observations[agent], False, acting)
            game.observations = observations
        if game.ended:
            # In RLlib's order: ended episodes come before those that go on.
            self._ended_rows[game.replica] += game.rows
            game.rows = []
            self._finished.append(
                EpisodeResult(
                    game.replica,
                    game.length,
                    game.returns,
                    game.agent_steps,
                    dict(game.policies),
                    time.perf_counter() - game.started,
                )
            )

    def _packed(self, observations: dict[AgentID, Any]) -> dict[AgentID, Any]:
        if not self._is_nested:
            return observations
        return {agent: pack(observation) for agent, observation in observations.items()}

    def _end_of_some(
        self,
        game: _Game,
        observations: dict[AgentID, Any],
        rewards: Mapping[AgentID, float],
        terminateds: Mapping[AgentID, bool],
        truncateds: Mapping[AgentID, bool],
    ) -> None:
        """Takes in a step at which one agent ends at least."""
        game.ended = terminateds["__all__"] or truncateds["__all__"]
        done = {a for flags in (terminateds, truncateds) for a, flag in flags.items() if flag}
        acting = observations.keys() - done
        if game.ended:
            # Where everybody's time is up, values are estimated as if the game went on, among those
            # who took part. Where all have terminated nothing comes after.
            terminated = {agent for agent in done if terminateds.get(agent, False)}
            members = observations.keys() & game.waiting.keys()
            acting = members - terminated or members
        self._pay(game, rewards)
        for agent in list(game.waiting):
            if agent in observations or agent in done or game.ended:
                terminated_now = has_terminated(agent, terminateds, truncateds)
                self._complete(game, agent, observations.get(agent), terminated_now, acting)
        alive = {} if game.ended else {a: o for a, o in observations.items() if a not in done}
        game.observations = alive

    def _pay(self, game: _Game, rewards: Mapping[AgentID, float]) -> None:
        for agent, reward in rewards.items():
            # A reward before an agent's first action is nobody's, as in RLlib's episodes.
            if agent in game.waiting:
                game.returns[agent] = game.returns.get(agent, 0.0) + reward
                game.waiting[agent].reward += reward

    def _complete(
        self,
        game: _Game,
        agent: AgentID,
        next_obs: Any,
        terminated: bool,
        acting: Set[AgentID],
    ) -> None:
        """Writes the outcome of an agent's last action down; without one it goes on waiting."""
        transition = game.waiting.pop(agent)
        # Who terminates without a last observation needs none.
        transition.next_obs = transition.obs if next_obs is None else next_obs
        transition.terminated = terminated
        transition.next_acting = acting
        transition.complete = True
        game.agent_steps[agent] = game.agent_steps.get(agent, 0) + 1

    def _collect(self) -> list[JointSteps]:
        complete = self._ended_rows
        self._ended_rows = [[] for _ in range(self._replicas)]
        for game in self._games:
            if game.waiting:
                known = [row for row in game.rows if all(t.complete for t in row.values())]
                game.rows = [r for r in game.rows if not all(t.complete for t in r.values())]
            else:
                known, game.rows = game.rows, []
            complete[game.replica].extend(known)
        return in_columns(complete)


class _PolicyOfAgent(dict):
    """Asks the mapping function once an episode and agent."""

    def __init__(self, policy_mapping_fn: Callable[..., str], episode_id: str | None = None):
        super().__init__()
        self.episode = MultiAgentEpisode(
            id_=episode_id, agent_to_module_mapping_fn=policy_mapping_fn
        )

    def __missing__(self, agent: AgentID) -> str:
        self[agent] = str(self.episode.module_for(agent))
        return self[agent]
