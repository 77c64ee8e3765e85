"""RLlib's env runner, of which what RLlib keeps to itself can be read and changed."""

from __future__ import annotations

from typing import Any

from ray.rllib.env.multi_agent_env_runner import MultiAgentEnvRunner

from rommeo_rllib.rllib_boundary import CONNECTORS
from rommeo_rllib.rllib_boundary.episodes import OrderedEpisode


class OpenEnvRunner(MultiAgentEnvRunner):
    """Makes ordered episodes; a subclass says what becomes of metrics of those that ended."""

    @property
    def device(self) -> Any:
        """Where the policies act."""
        return self._device

    @property
    def begins_anew(self) -> bool:
        """Whether the next sampling resets all environments."""
        return bool(self._needs_initial_reset)

    @begins_anew.setter
    def begins_anew(self, value: bool) -> None:
        self._needs_initial_reset = value

    @property
    def env_seed(self) -> int | None:
        """What environments are seeded with at a first reset; differs from runner to runner."""
        seed: int | None = self._seed
        return seed

    @env_seed.setter
    def env_seed(self, value: int | None) -> None:
        self._seed = value

    def log_episode(self, summary: tuple[Any, ...]) -> None:
        """Called for each episode that ended.

        Args:
            summary: env steps, return, seconds, and by agent or module the returns and steps.
        """
        super()._log_episode_metrics(*summary)

    def _log_episode_metrics(self, *summary: Any) -> None:
        self.log_episode(summary)

    def _new_episode(self, env_index: int, episodes: list[Any] | None = None) -> None:
        episodes = self._ongoing_episodes if episodes is None else episodes
        super()._new_episode(env_index, episodes)
        episodes[env_index].__class__ = OrderedEpisode


def connectors(env_runner: Any) -> dict[str, Any]:
    """An env runner's pipelines, by the names in `CONNECTORS`."""
    return {name: getattr(env_runner, f"_{name}") for name in CONNECTORS}
