"""What is told when Ray Tune itself fails."""

from __future__ import annotations

import pytest

from rommeo_rllib.errors import CommandError, UsageError
from rommeo_rllib.experiments.running import tunes_errors_told


def fail(first: BaseException) -> None:
    """As Tune does: what it does on its way out fails, too."""
    with tunes_errors_told():
        try:
            raise first
        finally:
            raise KeyError("pop from an empty set")


def test_tunes_failure_is_told_by_its_first_cause_and_not_by_what_its_tidying_up_met():
    with pytest.raises(CommandError) as told:
        fail(ValueError("Bundles cannot be\nan empty dictionary"))
    assert str(told.value) == (
        "Ray Tune could not run the trials: ValueError: Bundles cannot be an empty dictionary"
    )
    assert told.value.status == 1


@pytest.mark.parametrize(
    "first",
    [UsageError("--metric x: no"), OSError(28, "No space left", "file"), KeyboardInterrupt()],
)
def test_an_error_that_is_told_already_comes_as_it_is(first):
    with pytest.raises(type(first)) as told:
        fail(first)
    assert told.value is first


def test_a_cause_that_was_put_aside_is_not_told():
    def put_aside() -> None:
        try:
            raise ValueError("of no interest")
        except ValueError:
            raise RuntimeError("what counts") from None

    with pytest.raises(CommandError, match=r"RuntimeError: what counts$"), tunes_errors_told():
        put_aside()
