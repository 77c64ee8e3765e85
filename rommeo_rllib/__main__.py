"""Where the `rommeo` command begins: signals end it in one line already while it is imported."""

from __future__ import annotations

import signal
import sys

from rommeo_rllib.experiments.signals import STOPPING, end_at_once


def main() -> None:
    """Runs the command line; see `rommeo_rllib.cli.main`."""
    # To the very end: Python may take long to exit, too.
    for number in STOPPING:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end_at_once)
    from rommeo_rllib.cli import main as run

    try:
        run()
    finally:
        sys.stdout.flush()


if __name__ == "__main__":
    main()
