"""Starts Ray and keeps its own noise down."""

from __future__ import annotations

import logging
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from rommeo_rllib.errors import CommandError, one_line
from rommeo_rllib.experiments.signals import end_at_once, handled_by, held_back, out_of_reach
from rommeo_rllib.rllib_boundary.tune import sigterm_left_alone

_SECONDS_TO_ANSWER = 10.0

_QUIET_WORKER = {"PYTHONWARNINGS": "ignore", "RAY_DEDUP_LOGS": "1"}


def import_ray_quietly() -> None:
    """Imports RLlib so that Ray keeps its notices and warnings to itself."""
    # Before Ray is imported: its new output engine and usage notice print on import.
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    warnings.filterwarnings("ignore")
    # Nothing has begun, and an exception would be lost in some module that is being imported.
    with handled_by(end_at_once):
        import ray.rllib  # noqa: F401

    for name in ("ray", "ray.rllib", "ray.train", "ray.data", "ray.tune"):
        logging.getLogger(name).setLevel(logging.ERROR)


@contextmanager
def quiet_ray() -> Iterator[None]:
    """A Ray session: the cluster's if RAY_ADDRESS names one, else this machine's, shut down after.

    One that is running already is used and left as it is.
    """
    import_ray_quietly()
    import ray

    started_here = not ray.is_initialized()
    try:
        if started_here:
            _start_ray()
        yield
    finally:
        if started_here:
            out_of_reach(ray.shutdown)


def _start_ray() -> None:
    import ray

    address = os.environ.get("RAY_ADDRESS", "")
    _require_listener(address)
    # Ray would handle SIGTERM by an exit in the midst of its start.
    with held_back(), sigterm_left_alone():
        try:
            ray.init(
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": _QUIET_WORKER},
            )
        except Exception as error:
            where = f"at RAY_ADDRESS={address}" if address else "on this machine"
            raise CommandError(
                f"Ray cannot be started or reached {where}: {one_line(error)}. Allowed: the "
                "address of a running cluster, or none, with memory and /tmp left for Ray."
            ) from error


def _require_listener(address: str) -> None:
    """Raises a CommandError if nobody listens at the address of a cluster.

    Ray would try for many minutes, deaf to signals.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host or not port.isdecimal():
        return  # "auto" and the like, or something that Ray refuses at once.
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise CommandError(
            f"Nobody answers at RAY_ADDRESS={address} ({one_line(error)}); allowed: the address of "
            "a running cluster, or none to start Ray on this machine."
        ) from error
