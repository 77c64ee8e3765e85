"""A console on which texts from files stay texts."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from rommeo_rllib.experiments.credentials import without_credentials
from rommeo_rllib.naming import printable


class PlainConsole(Console):
    """Prints what it is given: no markup in brackets, no codes for the terminal, no passwords.

    Names of files, agents and settings may come from anybody.

    Args:
        **settings: rich's.
    """

    def __init__(self, **settings: Any):
        super().__init__(markup=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """A text as rich prints it, on its own or in a table."""
        return super().render_str(printable(without_credentials(text), keep="\n\t"), **settings)
