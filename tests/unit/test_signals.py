"""Ctrl-C and SIGTERM, at moments at which Ray or an import would answer in our place."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from typing import Any, NoReturn

import pytest
import ray

from rommeo_rllib.errors import Terminated
from rommeo_rllib.experiments.ray_session import quiet_ray
from rommeo_rllib.experiments.signals import handled_by, out_of_reach, raise_interrupt

ENDINGS = [(signal.SIGTERM, 143, "terminated"), (signal.SIGINT, 130, "interrupted")]


def ended(program: str) -> tuple[int, str]:
    """Exit status and stderr of a Python program, of which Ctrl-C is to be heard."""
    command = [sys.executable, "-c", textwrap.dedent(program)]
    found = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    return found.returncode, found.stderr


@pytest.mark.parametrize(("number", "status", "said"), ENDINGS)
@pytest.mark.parametrize(
    ("imported", "call"),
    [
        ("rommeo_rllib.cli", "from rommeo_rllib.__main__ import main; main()"),
        ("ray", "from rommeo_rllib.experiments.ray_session import import_ray_quietly as f; f()"),
    ],
)
def test_a_signal_during_imports_ends_the_command_in_one_line(imported, call, number, status, said):
    found = ended(f"""
        import os, sys

        class Interrupter:
            def find_spec(self, name, *_):
                if name == "{imported}":
                    try:
                        os.kill(os.getpid(), {int(number)})
                    except BaseException:
                        pass  # As modules do that can be had without another one.

        sys.meta_path.insert(0, Interrupter())
        {call}
    """)
    assert found == (status, f"rommeo: {said}.\n")


@pytest.mark.parametrize(("number", "status", "said"), ENDINGS)
def test_while_ray_ends_a_signal_waits_though_ray_has_taken_the_handlers_away(number, status, said):
    found = ended(f"""
        import ctypes, os, sys, time
        from rommeo_rllib.errors import Terminated
        from rommeo_rllib.experiments.signals import handled_by, out_of_reach, raise_interrupt

        def shutdown():
            ctypes.CDLL(None).signal({int(number)}, None)
            time.sleep(0.2)
            os.kill(os.getpid(), {int(number)})
            time.sleep(0.1)
            print("all done", file=sys.stderr)

        with handled_by(raise_interrupt):
            try:
                out_of_reach(shutdown)
            except KeyboardInterrupt as stop:
                sys.exit(143 if isinstance(stop, Terminated) else 130)
    """)
    assert found == (status, "all done\n")


def test_a_second_signal_while_ray_ends_ends_the_command_at_once():
    found = ended("""
        import os, time
        from rommeo_rllib.experiments.signals import out_of_reach

        def hang():
            for number in (2, 15):
                time.sleep(0.1)
                os.kill(os.getpid(), number)
            time.sleep(60)

        out_of_reach(hang)
    """)
    assert found == (143, "rommeo: terminated.\n")


def test_what_work_out_of_reach_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        out_of_reach(lambda: 1 / 0)


def test_a_signal_while_ray_starts_waits_for_its_start_and_then_ends_it(monkeypatch):
    done = []

    def ray_exits(number: int, _: Any) -> NoReturn:
        sys.exit(number)

    def start(**_: Any) -> None:
        ray._private.utils.set_sigterm_handler(ray_exits)
        signal.raise_signal(signal.SIGTERM)
        done.append("started")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", start)
    monkeypatch.setattr(ray, "shutdown", lambda: done.append("ended"))
    with handled_by(raise_interrupt):
        with pytest.raises(Terminated), quiet_ray():
            pass
        assert signal.getsignal(signal.SIGTERM) is raise_interrupt
    assert done == ["started", "ended"]


def test_a_signal_that_the_shell_has_us_ignore_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handled_by(raise_interrupt):
            signal.raise_signal(signal.SIGINT)
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
