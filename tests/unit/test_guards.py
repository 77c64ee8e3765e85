"""What keeps a fault from doing harm in silence."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from rommeo_rllib.joint_action.checkpoints.manifest import check_manifest, write_manifest
from rommeo_rllib.joint_action.sampling.env_guard import EnvGuard
from rommeo_rllib.joint_action.sampling.recent_episodes import finite_or_before

NAN = float("nan")


def guarded(limit_s: float) -> tuple[EnvGuard, SimpleNamespace]:
    """A guard, and an environment whose `step(seconds)` sleeps."""
    guard = EnvGuard(limit_s)
    return guard, SimpleNamespace(step=guard.timed(time.sleep, "step"))


def test_a_call_that_takes_too_long_is_stopped_and_named():
    guard, env = guarded(0.05)
    expected = pytest.raises(TimeoutError, match=r"step\(\) has taken longer than 0.05 s")
    with expected, guard.watching():
        env.step(5)


def test_a_late_call_that_takes_too_long_is_stopped():
    guard, env = guarded(0.1)
    begin = time.monotonic()
    with guard.watching():
        time.sleep(0.15)
        with pytest.raises(TimeoutError):
            env.step(5)
    assert time.monotonic() - begin < 1.0


def test_many_short_calls_may_take_longer_than_one():
    guard, env = guarded(0.1)
    with guard.watching():
        for _ in range(6):
            env.step(0.03)


def test_when_nobody_watches_calls_may_take_long():
    guard, env = guarded(0.02)
    with guard.watching():
        env.step(0)
    env.step(0.05)


def test_an_alarm_that_was_set_before_still_rings():
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(True))
    timer_before = signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        with EnvGuard(10.0).watching():
            pass
        time.sleep(0.1)
    finally:
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, *timer_before)
    assert rung == [True]


def test_outside_of_the_main_thread_there_is_no_limit():
    reached = []
    guard, env = guarded(0.01)

    def work() -> None:
        with guard.watching():
            env.step(0.03)
        reached.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert reached == [True]


def test_what_is_missing_or_nan_stays_what_it_was():
    before = {"mean": 1.0, "agents": {"a": 2.0, "b": 3.0}}
    assert finite_or_before({"mean": NAN, "agents": {"a": 5.0, "b": NAN}}, before) == {
        "mean": 1.0,
        "agents": {"a": 5.0, "b": 3.0},
    }
    assert finite_or_before({"steps": 4}, before) == {**before, "steps": 4}


def test_what_never_had_a_value_is_left_out():
    assert finite_or_before({"mean": NAN, "inner": {"x": NAN}, "n": 1}, {}) == {"inner": {}, "n": 1}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "weights").write_bytes(b"12345")
    (tmp_path / "state").write_bytes(b"1")
    write_manifest(tmp_path)
    return tmp_path


def test_a_whole_checkpoint_is_accepted_with_files_of_others_beside_it(checkpoint):
    (checkpoint / "notes.txt").write_text("mine")
    check_manifest(checkpoint)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"123", "has 3 bytes instead of 5"),
        (b"12346", "is not the file that was saved"),
        (None, "is missing"),
    ],
)
def test_a_damaged_file_is_named(checkpoint, content, said):
    file = checkpoint / "inner" / "weights"
    file.unlink() if content is None else file.write_bytes(content)
    with pytest.raises(ValueError, match=f"is damaged: inner/weights {said}"):
        check_manifest(checkpoint)


@pytest.mark.parametrize("content", [None, '{"state": 1'])
def test_a_checkpoint_whose_writing_was_not_finished_is_refused(checkpoint, content):
    manifest = checkpoint / "files.json"
    manifest.unlink() if content is None else manifest.write_text(content)
    with pytest.raises(ValueError, match="is not complete"):
        check_manifest(checkpoint)
