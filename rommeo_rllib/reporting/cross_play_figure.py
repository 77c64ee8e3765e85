"""The picture of a cross-play matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from rommeo_rllib.reporting.figures import in_house_style, new_figure


@in_house_style
def plot_cross_play(returns: np.ndarray, names: Sequence[str]) -> Figure:
    """Returns of all pairs, (checkpoints, checkpoints), each cell with its number.

    Args:
        returns: row: who plays for the first agent; column: who plays for all others.
        names: of the checkpoints.
    """
    size = 2.5 + 0.7 * len(names)
    figure, axes = new_figure(size + 0.8, size)
    image = axes.imshow(returns, cmap="viridis")
    middle = (returns.min() + returns.max()) / 2
    for (row, column), value in np.ndenumerate(returns):
        colour = "black" if value > middle else "white"
        axes.text(column, row, f"{value:.3g}", ha="center", va="center", color=colour)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.grid(visible=False)
    axes.set(xlabel="all others play as in", ylabel="first agent plays as in", title="Cross-play")
    figure.colorbar(image, label="return of all agents together")
    return figure
