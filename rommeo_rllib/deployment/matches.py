"""Episodes between policies of one or several checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ray.rllib.algorithms.algorithm_config import AlgorithmConfig
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModule, RLModuleSpec
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES
from ray.rllib.examples.rl_modules.classes.random_rlm import RandomRLModule
from torch import nn

from rommeo_rllib.deployment.checkpoints import Trained
from rommeo_rllib.joint_action.sampling.env_runner import JointActionEnvRunner
from rommeo_rllib.joint_action.spaces.agents import AgentID, sorted_agents
from rommeo_rllib.joint_action.spaces.encoding import normalised_space
from rommeo_rllib.joint_action.spaces.replicas import replica_order
from rommeo_rllib.naming import unknown_name_message

RANDOM = "random"
"""In place of a checkpoint: an opponent that acts uniformly at random."""


@dataclass
class Match:
    """What came of some episodes.

    Attributes:
        returns: for each episode every agent's return, in units of the reward.
        lengths: env steps of each episode.
        frames: pictures of all steps, (height, width, 3) uint8, if they were recorded.
    """

    returns: list[dict[AgentID, float]]
    lengths: list[int]
    frames: list[np.ndarray] = field(default_factory=list)

    @property
    def agents(self) -> list[AgentID]:
        """All who took part, in order."""
        return sorted_agents({agent for episode in self.returns for agent in episode})

    def returns_of(self, agent: AgentID) -> list[float]:
        """An agent's return in each episode that it took part in."""
        return [episode[agent] for episode in self.returns if agent in episode]


class Stage:
    """A checkpoint's game and policies, and other policies in some agents' places.

    The environment, connectors and their state, and who plays with which policy are those of the
    checkpoint's configuration.

    Args:
        checkpoint: whose game it is.
        replacements: for some agents who plays for them: another checkpoint, whose policy for that
            agent is taken, or "random".
        replica: of a checkpoint with replicas, which one.
        config: the configuration to play by; None for the checkpoint's.
        trust: whether pickled objects in checkpoints may be read where there is no bundle, which
            runs whatever code they name.

    Attributes:
        config: the configuration to play by, which may be changed before the first episode.

    Raises:
        NotTrusted: if a checkpoint would have to be trusted.
        ValueError: if an agent, a policy or a checkpoint is unknown, or a policy does not fit.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        replacements: Mapping[str, str | Path] | None = None,
        *,
        replica: int = 0,
        config: AlgorithmConfig | None = None,
        trust: bool = False,
    ):
        self._trained, self._replica = Trained(checkpoint, trust=trust, config=config), replica
        numbers = _replicas_of(self._trained.policies)
        if not 0 <= replica < numbers:
            allowed = f"0 to {numbers - 1}" if numbers > 1 else "0, as there is one of each policy"
            raise ValueError(f"`replica` is {replica}; allowed: {allowed}.")
        self._replacements = dict(replacements or {})
        self._trust = trust
        self.config = self._trained.config()

    @cached_property
    def _spaces(self) -> tuple[dict[AgentID, Any], dict[AgentID, Any]]:
        """Observation and action space of each agent."""
        runner = JointActionEnvRunner(config=_for_matches(self.config, seed=None))
        try:
            observations, actions = runner.get_spaces()[INPUT_ENV_SINGLE_SPACES]
        finally:
            runner.stop()
        return dict(observations.spaces), dict(actions.spaces)

    @property
    def agents(self) -> list[AgentID]:
        """The environment's agents, in order."""
        return sorted_agents(self._spaces[1])

    def play(
        self, episodes: int, *, explore: bool = False, seed: int | None = 0, record: bool = False
    ) -> Match:
        """Plays some episodes to their end.

        Args:
            episodes: how many.
            explore: sample actions, else act greedily.
            seed: of the environment and of exploring policies.
            record: render each step; the environment must return pictures from `render()`.

        Raises:
            ValueError: if the environment renders nothing.
        """
        frames: list[np.ndarray] = []
        runner = self._make_runner(seed, frames if record else None)
        try:
            played = runner.sample(num_episodes=episodes, explore=explore)
        finally:
            runner.stop()
        returns = [
            {
                agent: float(episode.agent_episodes[agent].get_return())
                for agent in sorted_agents(episode.agent_episodes)
            }
            for episode in played
        ]
        return Match(returns, [len(episode) for episode in played], frames)

    def _make_runner(
        self, seed: int | None, frames: list[np.ndarray] | None
    ) -> JointActionEnvRunner:
        config = self.config.copy(copy_frozen=False)
        original = config.policy_mapping_fn
        names = {agent: f"in_place_of_{agent}" for agent in self._replacements}

        def mapping(agent: Any, *args: Any, **kwargs: Any) -> str:
            return names.get(str(agent)) or original(agent, *args, **kwargs)

        modules = self._own_modules()
        for agent, source in self._replacements.items():
            modules[names[agent]] = self._substitute(agent, source)
        specs = {name: RLModuleSpec.from_module(module) for name, module in modules.items()}
        config.multi_agent(policies=set(modules), policy_mapping_fn=mapping, policies_to_train=[])
        config.rl_module(rl_module_spec=MultiRLModuleSpec(rl_module_specs=specs))
        if frames is not None:
            _record(config, frames)
        runner = JointActionEnvRunner(config=_for_matches(config, seed))
        for name, module in modules.items():
            _copy_weights(module, runner.module[name], name)
        self._trained.restore_connectors(runner)
        return runner

    def _own_modules(self) -> dict[str, RLModule]:
        return {
            policy: self._trained.policy(self._trained.stored_name(policy, self._replica))
            for policy in sorted(self.config.policies)
        }

    def _substitute(self, name: str, source: str | Path) -> RLModule:
        """Who plays for an agent: a random player, or its policy in another checkpoint."""
        agents = {str(agent): agent for agent in self.agents}
        if name not in agents:
            raise ValueError(unknown_name_message("agent", name, agents))
        agent = agents[name]
        observation_spaces, action_spaces = self._spaces
        if str(source) == RANDOM:
            # RLlib scales what a module chooses to the bounds of a Box.
            return RandomRLModule(
                observation_space=observation_spaces[agent],
                action_space=normalised_space(action_spaces[agent]),
            )
        trained = Trained(source, trust=self._trust)
        return trained.policy(trained.stored_name(trained.policy_of(agent), replica=0))


def _replicas_of(policies: Sequence[str]) -> int:
    """How many replicas there are of stored policies."""
    return 1 + max((max(replica_order(policy)[1], 0) for policy in policies), default=0)


def _for_matches(config: AlgorithmConfig, seed: int | None) -> AlgorithmConfig:
    """One environment in this process, sampled in RLlib's own way, which knows episodes."""
    config = config.copy(copy_frozen=False)
    config.training(fast_sampling=False, replicas=1)
    config.env_runners(num_env_runners=0, num_envs_per_env_runner=1)
    return config.debugging(seed=seed)


def _copy_weights(source: RLModule, target: RLModule, name: str) -> None:
    if not isinstance(source, nn.Module):
        return
    try:
        target.unwrapped().load_state_dict(source.state_dict())
    except RuntimeError as error:
        raise ValueError(
            f"The policy {name!r} does not fit this game: it was trained among other agents, or "
            "with other observations or actions."
        ) from error


def _record(config: AlgorithmConfig, frames: list[np.ndarray]) -> None:
    def render(*, env: Any, **kwargs: Any) -> None:
        frame = env.envs[0].unwrapped.render()
        if not isinstance(frame, np.ndarray):
            raise ValueError(
                f"The environment's render() gave {type(frame).__name__}; to be recorded it must "
                'give arrays, usually with render_mode="rgb_array" in its settings.'
            )
        frames.append(frame)

    config.callbacks(on_episode_start=render, on_episode_step=render)
