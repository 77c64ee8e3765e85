"""What the learners share whose Q-table sees the opponents' actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rommeo_rllib.checks import positive_int
from rommeo_rllib.tabular.counts import ActionCounts
from rommeo_rllib.tabular.exact import Array
from rommeo_rllib.tabular.learner import LearnerSettings, TabularLearner, number_within
from rommeo_rllib.tabular.replay import Batch, Replay, Transition


@dataclass(frozen=True)
class JointSettings(LearnerSettings):
    """Settings of learners with a Q-table over joint actions.

    Attributes:
        batch_size: plays drawn from the replay memory after each play, with replacement, each of
            which updates Q once; None updates on the newest play alone.
        replay_capacity: plays that the memory holds (not used where `batch_size` is None).
        target_update_interval: updates of Q after which the target table, from which the next
            state's value is taken, becomes a copy of Q; 1 means that there is none.
        prior_window: how many of the newest plays count for the opponents' empirical frequency;
            None counts all.
        prior_pseudo_count: added to the count of each opponents' action.
    """

    batch_size: int | None = None
    replay_capacity: int = 10_000
    target_update_interval: int = 1
    prior_window: int | None = None
    prior_pseudo_count: float = 0.0


class JointLearner(TabularLearner):
    """A learner of Q(s, a, o) that counts what its opponents do.

    Attributes:
        q: (trials, n_states, n_actions, opponents' joint actions), in units of the reward.
        target_q: the same; the array itself where there is no target table.
        counts: the opponents' actions by state.
    """

    Settings = JointSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        settings = self.settings
        self.q = self._new_table(self.n_states, self.n_actions, self.n_opponent_actions)
        self._has_target = settings.target_update_interval > 1
        self.target_q = self.q.copy() if self._has_target else self.q
        self.counts = ActionCounts(
            self.trials,
            self.n_states,
            self.n_opponent_actions,
            window=settings.prior_window,
            pseudo_count=settings.prior_pseudo_count,
        )
        self._replay = Replay(self.trials, settings.replay_capacity)
        self._updates = 0

    @classmethod
    def make_settings(cls, settings: Any) -> Any:
        """See the base class."""
        made = super().make_settings(settings)
        for name in ("batch_size", "prior_window"):
            if getattr(made, name) is not None:
                positive_int(name, getattr(made, name))
        positive_int("replay_capacity", made.replay_capacity)
        positive_int("target_update_interval", made.target_update_interval)
        number_within("prior_pseudo_count", made.prior_pseudo_count, 0.0)
        return made

    def opponent_prior(self, states: NDArray[np.intp]) -> Array:
        """The opponents' empirical frequency: (..., trials) -> (..., trials, joint actions)."""
        return self.counts.frequencies(states)

    def opponent_model(self, states: NDArray[np.intp]) -> Array:
        """What the agent believes that its opponents will do: (trials, joint actions)."""
        return self.opponent_prior(states)

    def state_value(self, states: NDArray[np.intp]) -> Array:
        """The value of `states`, (..., trials), from the target table: (..., trials)."""
        raise NotImplementedError

    def _learn(self, play: Transition) -> None:
        self.counts.add(play.states, play.opponent_actions)
        batch = self._as_batch(play)
        if self.settings.batch_size is not None:
            self._replay.add(batch)
            batch = self._replay.sample(self.settings.batch_size, self._rng)
        self._update_q(batch.cells, self._targets(batch))

    def _as_batch(self, play: Transition) -> Batch:
        """The newest play as a batch of one."""
        cells = (self._rows * self.n_states + play.states) * self.n_actions + play.actions
        cells = cells * self.n_opponent_actions + play.opponent_actions
        is_last = self.settings.gamma == 0 or play.terminated.all()
        following = None if is_last else (play.next_states[None], play.terminated[None])
        return Batch(cells[None], play.rewards[None], following)

    def _targets(self, batch: Batch) -> Array:
        """R + gamma V(s'), the square bracket of Eq. 14: (plays, trials)."""
        if batch.following is None:
            return batch.rewards
        next_states, terminated = batch.following
        value = self.state_value(next_states)
        return batch.rewards + self.settings.gamma * ~terminated * value

    def _update_q(self, cells: NDArray[np.intp], targets: Array) -> None:
        """Moves Q at `cells` towards `targets`, both (plays, trials)."""
        flat = self.q.reshape(-1)
        step = self._step_size()
        # One play after the other: a play that was drawn twice moves Q twice.
        for cell, target in zip(cells, targets, strict=True):
            old = flat.take(cell)
            flat[cell] = old + step * (target - old)
        self._update_target(len(cells))

    def _update_target(self, updates: int) -> None:
        interval = self.settings.target_update_interval
        is_due = (self._updates + updates) // interval > self._updates // interval
        self._updates += updates
        if self._has_target and is_due:
            np.copyto(self.target_q, self.q)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if not self._has_target:
            self.target_q = self.q
