"""A small grid with states, in which two agents must act together at the right moment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Discrete
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from rommeo_rllib.checks import check, is_finite_number, positive_int
from rommeo_rllib.naming import unknown_name_message

ROWS, COLUMNS = 2, 3
TREASURE = (0, 1)
SHELTER = (1, 1)
STARTS = ((1, 0), (1, 2))
ACTION_NAMES = ("up", "down", "left", "right")
_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
_N_CELLS = ROWS * COLUMNS
# Where each move leads from each cell; a move against a wall stays.
_NEIGHBOURS = {
    (row, column): [
        (min(max(row + down, 0), ROWS - 1), min(max(column + right, 0), COLUMNS - 1))
        for down, right in _MOVES
    ]
    for row in range(ROWS)
    for column in range(COLUMNS)
}
_N_JOINT_ACTIONS = len(_MOVES) ** 2

RENDER_MODES = ("rgb_array", "ansi")
OPTIMAL_RETURN = 10.0

Cell = tuple[int, int]
Observations = dict[str, int]


class CoordinationGrid(ParallelEnv[str, int, int]):
    """Two agents on a grid of 2 rows and 3 columns share every reward; they start in its corners.

    Both entering the treasure (the upper middle) in the same step ends the episode with
    `OPTIMAL_RETURN`, 10. One that enters it alone is thrown back, and both pay the penalty. The
    shelter (the lower middle), one step away, ends the episode as soon as anybody enters it, with
    2. What is safe is worse than what takes trust, as in the climbing game, but here two steps
    lead to it: up, and then to the middle, both at once.

    Observation: Discrete(36), the cell of player_0 times 6 plus that of player_1, cells counted
    row by row from the upper left. Both agents observe the same.

    Args:
        penalty: What both receive when one enters the treasure alone, at most 0.
        max_steps: Number of steps after which the episode is truncated.
        memory: Whether agents observe the last joint action, too: Discrete(36 * 17).
        render_mode: None, "rgb_array" or "ansi".

    Attributes:
        optimal_return: The best sum of rewards of an episode, 10.

    Raises:
        ValueError: On an unknown render mode, a penalty above 0 or a count of steps below 1.
    """

    def __init__(
        self,
        *,
        penalty: float = -5.0,
        max_steps: int = 20,
        memory: bool = False,
        render_mode: str | None = None,
    ) -> None:
        is_right = is_finite_number(penalty) and penalty <= 0
        check("penalty", penalty, is_right, "a finite number of at most 0")
        max_steps = positive_int("max_steps", max_steps)
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(unknown_name_message("render_mode", render_mode, RENDER_MODES))
        self.metadata = {
            "name": "coordination_grid",
            "render_modes": list(RENDER_MODES),
            "render_fps": 4,
            "is_parallelizable": True,
        }
        self.optimal_return = OPTIMAL_RETURN
        self.penalty = float(penalty)
        self.max_steps = max_steps
        self.memory = memory
        self.render_mode = render_mode
        self.possible_agents = ["player_0", "player_1"]
        self.agents: list[str] = []
        n_states = _N_CELLS**2 * (_N_JOINT_ACTIONS + 1 if memory else 1)
        agents = self.possible_agents
        self.observation_spaces: dict[str, Discrete] = {a: Discrete(n_states) for a in agents}
        self.action_spaces: dict[str, Discrete] = {a: Discrete(len(_MOVES)) for a in agents}
        self._cells: list[Cell] = list(STARTS)
        self._steps = 0
        # 0 before the first step, else 1 plus the index of the joint action.
        self._last = 0
        self._message = ""

    def observation_space(self, agent: str) -> Discrete:
        """The space of `agent`'s observations; always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Discrete:
        """The space of `agent`'s actions; always the same object."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, dict[str, Any]]]:
        """Begin an episode; nothing is random, so `seed` and `options` have no effect."""
        self.agents = self.possible_agents.copy()
        self._cells = list(STARTS)
        self._steps = 0
        self._last = 0
        self._message = ""
        return self._observe(), {agent: {} for agent in self.agents}

    def get_state(self) -> dict[str, Any]:
        """The state of the present episode, to continue from."""
        return {
            "agents": list(self.agents),
            "cells": list(self._cells),
            "steps": self._steps,
            "last": self._last,
            "message": self._message,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take up a state of `get_state()`."""
        self.agents, self._cells = list(state["agents"]), list(state["cells"])
        self._steps, self._last, self._message = state["steps"], state["last"], state["message"]

    def step(
        self, actions: Mapping[str, Any]
    ) -> tuple[
        Observations, dict[str, float], dict[str, bool], dict[str, bool], dict[str, dict[str, Any]]
    ]:
        """Move both agents.

        Args:
            actions: For each agent 0 (up), 1 (down), 2 (left) or 3 (right). A step
                against a wall stays.

        Returns:
            Observations, rewards (the same for both), terminations, truncations and (empty) infos.

        Raises:
            ValueError: If an agent is missing or unknown, or an action is none of these.
            gymnasium.error.ResetNeeded: Where no episode is running.
        """
        if not self.agents:
            raise gymnasium.error.ResetNeeded("no episode is running: call reset() before step().")
        chosen = self._read(actions)
        self._steps += 1
        self._last = 1 + chosen[0] * len(_MOVES) + chosen[1]
        reward, is_over = self._move(chosen)
        agents = self.agents
        is_late = not is_over and self._steps >= self.max_steps
        if is_over or is_late:
            self.agents = []
        return (
            self._observe(),
            dict.fromkeys(agents, reward),
            dict.fromkeys(agents, is_over),
            dict.fromkeys(agents, is_late),
            {agent: {} for agent in agents},
        )

    def render(self) -> NDArray[np.uint8] | str | None:
        """The grid as an image, shape (height, width, 3), or as a text; None without a mode."""
        if self.render_mode == "ansi":
            return self._text()
        if self.render_mode == "rgb_array":
            return self._image()
        gymnasium.logger.warn(
            "render() shows nothing: this game was made with render_mode=None, not one of "
            f"{self.metadata['render_modes']}."
        )
        return None

    def _read(self, actions: Mapping[str, Any]) -> list[int]:
        if set(actions) != set(self.agents):
            raise ValueError(
                f"actions must hold exactly the agents {self.agents}, got {sorted(actions)}."
            )
        for agent, action in actions.items():
            if not self.action_spaces[agent].contains(action):
                raise ValueError(
                    f"action of {agent} must be 0 to {len(_MOVES) - 1}, got {action!r}."
                )
        return [int(actions[agent]) for agent in self.agents]

    def _move(self, chosen: list[int]) -> tuple[float, bool]:
        """Moves both; returns the reward, and whether the episode is over."""
        goals = [
            _NEIGHBOURS[cell][action] for cell, action in zip(self._cells, chosen, strict=True)
        ]
        at_treasure = goals.count(TREASURE)
        if at_treasure == 2:
            self._cells = goals
            self._message = "the treasure is found"
            return OPTIMAL_RETURN, True
        self._message = "alone at the treasure" if at_treasure else ""
        self._cells = [
            old if goal == TREASURE else goal for old, goal in zip(self._cells, goals, strict=True)
        ]
        reward = self.penalty if at_treasure else 0.0
        if SHELTER in self._cells:
            self._message = "in the shelter"
            return reward + 2.0, True
        return reward, False

    def _observe(self) -> Observations:
        first, second = (row * COLUMNS + column for row, column in self._cells)
        state = first * _N_CELLS + second
        if self.memory:
            state = state * (_N_JOINT_ACTIONS + 1) + self._last
        return dict.fromkeys(self.possible_agents, state)

    def _text(self) -> str:
        rows = []
        for row in range(ROWS):
            cells = []
            for column in range(COLUMNS):
                place = {TREASURE: "T", SHELTER: "S"}.get((row, column), ".")
                here = [str(i) for i, cell in enumerate(self._cells) if cell == (row, column)]
                cells.append(f"{place}{''.join(here):<2}")
            rows.append(" ".join(cells).rstrip())
        return "\n".join([self._title(), "", *rows])

    def _title(self) -> str:
        status = f"step {self._steps} of {self.max_steps}"
        return f"Coordination grid\n{status}{', ' if self._message else ''}{self._message}"

    def _image(self) -> NDArray[np.uint8]:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(4, 3.3), dpi=100, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.set(xlim=(0, COLUMNS), ylim=(ROWS, 0), xticks=[], yticks=[], aspect="equal")
        for column in range(1, COLUMNS):
            axes.axvline(column, color="0.8", lw=1)
        axes.axhline(1, color="0.8", lw=1)
        for (row, column), label, colour in (
            (TREASURE, "treasure", "#f0e442"),
            (SHELTER, "shelter", "#cccccc"),
        ):
            axes.fill_between((column, column + 1), row, row + 1, color=colour)
            axes.text(column + 0.5, row + 0.9, label, ha="center", fontsize=9)
        for agent, ((row, column), colour) in enumerate(
            zip(self._cells, ("#0072b2", "#d55e00"), strict=True)
        ):
            x, y = column + 0.32 + 0.36 * agent, row + 0.42
            axes.scatter(x, y, s=620, color=colour, zorder=3)
            axes.text(x, y, str(agent), color="w", ha="center", va="center", zorder=4)
        axes.set_title(self._title(), loc="left", fontsize=11)
        canvas.draw()
        return np.asarray(canvas.buffer_rgba())[..., :3].copy()
