"""Pictures of a repeated game: as an image, in a window, or as a text.

matplotlib is imported when a picture is asked for and not before: a game that is only played needs
none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "viridis"
_NEWEST = "#ff4b3e"
_DOTS_PER_INCH = 100
_GRID_POINTS = 161
_CONTOURS = 24
# Larger matrices get colours only: numbers would not be legible.
_LARGEST_LABELLED_MATRIX = 12
_TEXT_ROWS = 12


class Playable(Protocol):
    """What is drawn of a `RepeatedGame`."""

    metadata: dict[str, Any]
    possible_agents: list[str]
    action_spaces: dict[str, Space]
    action_names: dict[str, tuple[str, ...]]
    plays_per_episode: int

    @property
    def joint_actions(self) -> NDArray[Any]:
        """(plays, agents) of the episode so far."""
        ...

    @property
    def rewards(self) -> NDArray[np.float64]:
        """(plays, agents) of the episode so far."""
        ...

    def expected_payoffs(self, actions: NDArray[Any]) -> NDArray[np.float64]:
        """Of joint actions, (..., agents), in the same shape."""
        ...


def image(game: Playable) -> NDArray[np.uint8]:
    """The episode so far as an image, shape (height, width, 3), uint8."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A figure of its own, not pyplot's: no display is needed and no global state is left behind.
    figure = Figure(dpi=_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    draw(game, figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


class Window:
    """A window that shows a game.

    Raises:
        RuntimeError: If no window can be opened here.
    """

    def __init__(self) -> None:
        import matplotlib.pyplot as plt

        advice = 'use render_mode="rgb_array" or "ansi", or run where a display is'
        try:
            figure = plt.figure(dpi=_DOTS_PER_INCH)
        except Exception as error:  # Each window toolkit has its own exception for "no display".
            raise RuntimeError(f'render_mode="human" found no display: {advice}.') from error
        if getattr(type(figure.canvas), "required_interactive_framework", None) is None:
            plt.close(figure)
            raise RuntimeError(
                f'render_mode="human" needs a window, but matplotlib\'s backend here, '
                f"{plt.get_backend()!r}, opens none: {advice}."
            )
        self._figure = figure
        self._is_shown = False

    def show(self, game: Playable) -> None:
        """Draw `game` anew and let the window react to the user for a moment."""
        self._figure.clear()
        draw(game, self._figure)
        if not self._is_shown:
            self._figure.show()
            self._is_shown = True
        self._figure.canvas.draw_idle()
        # Not pyplot.pause(): that would raise the window above the user's work at each play.
        self._figure.canvas.start_event_loop(1.0 / game.metadata["render_fps"])

    def close(self) -> None:
        """Close the window."""
        import matplotlib.pyplot as plt

        plt.close(self._figure)


def draw(game: Playable, figure: Figure) -> None:
    """Draw `game` on an empty figure: a surface, a matrix, or the plays in their order."""
    figure.set_layout_engine("constrained", wspace=0.06)
    if _all_are(game, Box):
        _draw_surfaces(game, figure)
    elif _all_are(game, Discrete):
        _draw_matrices(game, figure)
    else:
        _draw_history(game, figure)
    title = f"{_name(game)}\n{_progress(game)}"
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, linespacing=1.4)


def text(game: Playable) -> str:
    """The episode so far as a text of several lines."""
    body = _matrix_text(game) if _all_are(game, Discrete) else _history_text(game)
    return f"{_name(game)}\n{_progress(game)}\n\n{body}"


def _all_are(game: Playable, kind: type) -> bool:
    """Whether this is a game of two whose actions are all of this kind of space."""
    spaces = game.action_spaces.values()
    return len(spaces) == 2 and all(isinstance(space, kind) for space in spaces)


def _name(game: Playable) -> str:
    name = str(game.metadata["name"]).replace("_", " ")
    return name[:1].upper() + name[1:]


def _progress(game: Playable) -> str:
    rewards = game.rewards
    played = f"play {len(rewards)} of {game.plays_per_episode}"
    if not len(rewards):
        return played
    return f"{played}, reward {_amounts(rewards[-1])}, return {_amounts(rewards.sum(axis=0))}"


def _amounts(values: NDArray[np.float64]) -> str:
    """One number if all agents have the same, else one an agent."""
    numbers = [f"{value + 0.0:.4g}" for value in values]  # + 0.0 turns -0 into 0.
    return numbers[0] if len(set(numbers)) == 1 else f"({', '.join(numbers)})"


def _action_text(game: Playable, agent: str, action: Any) -> str:
    space = game.action_spaces[agent]
    if not isinstance(space, Discrete):
        return f"{float(action):.2f}"
    return _labels(game, agent)[int(action) - int(space.start)]


def _labels(game: Playable, agent: str) -> list[str]:
    """What to call each action of a Discrete agent."""
    space = cast(Discrete, game.action_spaces[agent])
    return list(game.action_names[agent]) or [str(space.start + i) for i in range(int(space.n))]


# -- Two continuous actions: the surface of rewards ------------------------------------------------


def _draw_surfaces(game: Playable, figure: Figure) -> None:
    first, second = (
        np.linspace(space.low[0], space.high[0], _GRID_POINTS)
        for space in cast(list[Box], list(game.action_spaces.values()))
    )
    grid = np.stack(np.meshgrid(first, second, indexing="ij"), axis=-1)
    payoffs = game.expected_payoffs(grid)
    for panel, (axes, who) in enumerate(_panels(figure, payoffs, width=6.4, height=5.6)):
        surface = payoffs[..., panel].T
        shades = axes.contourf(first, second, surface, levels=_CONTOURS, cmap=_COLOURS)
        lines: dict[str, Any] = {"levels": shades.levels, "colors": "white", "linestyles": "solid"}
        axes.contour(first, second, surface, linewidths=0.3, **lines)
        axes.set_aspect("equal")
        axes.set_xlabel(f"action of {game.possible_agents[0]}")
        axes.set_ylabel(f"action of {game.possible_agents[1]}")
        _draw_played_points(game, axes)
        figure.colorbar(shades, ax=axes, label=f"reward of {who}")


def _draw_played_points(game: Playable, axes: Axes) -> None:
    played = game.joint_actions
    if not len(played):
        return
    # Older plays fade, so that the way of the episode can be seen.
    ages = np.linspace(0.25, 0.95, len(played))
    points: dict[str, Any] = {"edgecolors": "black", "linewidths": 0.6, "clip_on": False}
    x, y = played.T
    axes.plot(x, y, color="white", linewidth=0.8, alpha=0.35)
    axes.scatter(x, y, s=34, c="white", alpha=cast(Any, ages), zorder=3, **points)
    axes.scatter(x[-1], y[-1], s=110, c=_NEWEST, zorder=4, label="newest play", **points)
    axes.legend(loc="lower right", framealpha=0.85, fontsize=9)


def _panels(
    figure: Figure, payoffs: NDArray[np.float64], *, width: float, height: float
) -> list[tuple[Axes, str]]:
    """One panel if both agents have the same payoffs everywhere, else one an agent."""
    shared = np.array_equal(payoffs[..., 0], payoffs[..., 1])
    names = ["both players"] if shared else ["player_0", "player_1"]
    figure.set_size_inches(width * len(names), height)
    axes = figure.subplots(1, len(names), squeeze=False)[0]
    return list(zip(axes, names, strict=True))


# -- Two discrete actions: the matrix --------------------------------------------------------------


def _matrix(game: Playable) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Payoffs, shape (rows, columns, 2), and counts of plays, shape (rows, columns)."""
    row_space, column_space = cast(list[Discrete], list(game.action_spaces.values()))
    rows, columns = np.arange(row_space.n), np.arange(column_space.n)
    starts = np.array([row_space.start, column_space.start])
    cells = np.stack(np.meshgrid(rows, columns, indexing="ij"), axis=-1)
    counts = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(counts, tuple((game.joint_actions - starts).T), 1)
    return game.expected_payoffs(cells + starts), counts


def _chosen_cell(game: Playable) -> tuple[int, int] | None:
    if not len(game.joint_actions):
        return None
    spaces = cast(list[Discrete], list(game.action_spaces.values()))
    row, column = game.joint_actions[-1]
    return int(row - spaces[0].start), int(column - spaces[1].start)


def _draw_matrices(game: Playable, figure: Figure) -> None:
    payoffs, counts = _matrix(game)
    for panel, (axes, who) in enumerate(_panels(figure, payoffs, width=6.4, height=5.6)):
        shades = axes.imshow(payoffs[..., panel], cmap=_COLOURS)
        axes.set_xticks(range(counts.shape[1]), _labels(game, game.possible_agents[1]))
        axes.set_yticks(range(counts.shape[0]), _labels(game, game.possible_agents[0]))
        axes.set_xlabel(f"action of {game.possible_agents[1]}")
        axes.set_ylabel(f"action of {game.possible_agents[0]}")
        axes.set_xticks(np.arange(1, counts.shape[1]) - 0.5, minor=True)
        axes.set_yticks(np.arange(1, counts.shape[0]) - 0.5, minor=True)
        axes.grid(which="minor", color="white", linewidth=1.5)
        axes.tick_params(which="both", length=0)
        axes.spines[:].set_visible(False)
        if max(counts.shape) <= _LARGEST_LABELLED_MATRIX:
            _label_cells(axes, payoffs[..., panel], counts)
        _mark_chosen_cell(game, axes)
        figure.colorbar(shades, ax=axes, label=f"reward of {who}")


def _label_cells(axes: Axes, payoffs: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    middle = (payoffs.min() + payoffs.max()) / 2
    size = 48 / max(3, *counts.shape)
    for (row, column), payoff in np.ndenumerate(payoffs):
        # The upper half of the colours is light.
        colour = "black" if payoff > middle else "white"
        style: dict[str, Any] = {"ha": "center", "va": "center", "color": colour}
        axes.text(column, row, f"{payoff:.4g}", size=size, **style)
        if counts[row, column]:
            plays = f"{counts[row, column]} play{'s' if counts[row, column] > 1 else ''}"
            axes.text(column, row + 0.28, plays, size=0.6 * size, **style)


def _mark_chosen_cell(game: Playable, axes: Axes) -> None:
    from matplotlib.patches import Rectangle

    cell = _chosen_cell(game)
    if cell is None:
        return
    row, column = cell
    frame = Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, fill=False, ec=_NEWEST, lw=4)
    frame.set_label("newest play")
    axes.add_patch(frame)


def _matrix_text(game: Playable) -> str:
    payoffs, counts = _matrix(game)
    chosen = _chosen_cell(game)
    row_agent, column_agent = game.possible_agents
    lines = [["", *_labels(game, column_agent)]]
    for row, label in enumerate(_labels(game, row_agent)):
        cells = []
        for column, count in enumerate(counts[row]):
            amount = _amounts(payoffs[row, column])
            cell = f"[{amount}]" if chosen == (row, column) else amount
            cells.append(f"{cell} x{count}" if count else cell)
        lines.append([label, *cells])
    key = f"rows: {row_agent}, columns: {column_agent}; [newest play], xN: played N times"
    return f"{_aligned(lines)}\n\n{key}"


# -- Any other game: the plays in their order ------------------------------------------------------


def _draw_history(game: Playable, figure: Figure) -> None:
    figure.set_size_inches(7.2, 5.6)
    above, below = figure.subplots(2, 1, sharex=True)
    plays = np.arange(1, len(game.rewards) + 1)
    style: dict[str, Any] = {"marker": "o", "markersize": 5, "linewidth": 1.2, "alpha": 0.8}
    all_discrete = all(isinstance(space, Discrete) for space in game.action_spaces.values())
    # Agents that choose the same stand beside each other and not on top of each other.
    spread = 0.2 if all_discrete else 0.0
    offsets = np.linspace(-spread, spread, len(game.possible_agents))
    for i, agent in enumerate(game.possible_agents):
        line = "" if isinstance(game.action_spaces[agent], Discrete) else "-"
        actions = game.joint_actions[:, i] + offsets[i]
        above.plot(plays, actions, linestyle=line, label=agent, **style)
    for rewards, who in _reward_lines(game):
        below.plot(plays, rewards, label=who, **style)
    if all_discrete:
        above.yaxis.get_major_locator().set_params(integer=True)
    below.xaxis.get_major_locator().set_params(integer=True)
    above.set_ylabel("action")
    below.set_ylabel("reward")
    below.set_xlabel("play")
    below.set_xlim(0.5, game.plays_per_episode + 0.5)
    for axes in (above, below):
        axes.legend(loc="upper right", fontsize=9, framealpha=0.85)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        if len(plays):
            axes.axvline(len(plays), color=_NEWEST, linewidth=1.2, linestyle="--")


def _reward_lines(game: Playable) -> list[tuple[NDArray[np.float64], str]]:
    """Each agent's rewards, shape (plays,), or those of all agents if they are the same."""
    rewards = game.rewards
    if (rewards == rewards[:, :1]).all():
        return [(rewards[:, 0], "all players")]
    return list(zip(rewards.T, game.possible_agents, strict=True))


def _history_text(game: Playable) -> str:
    lines = [["", "play", *game.possible_agents, "reward"]]
    plays = list(zip(game.joint_actions, game.rewards, strict=True))
    for number, (actions, rewards) in list(enumerate(plays, start=1))[-_TEXT_ROWS:]:
        names = [
            _action_text(game, agent, action)
            for agent, action in zip(game.possible_agents, actions, strict=True)
        ]
        mark = ">" if number == len(plays) else ""
        lines.append([mark, str(number), *names, _amounts(rewards)])
    return _aligned(lines)


def _aligned(lines: list[list[str]]) -> str:
    """Rows of cells, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
