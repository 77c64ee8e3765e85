"""The files of docs/cluster, as far as they can be checked without a cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray
import tyro
import yaml

import rommeo_rllib
from rommeo_rllib.commands.sweep import Sweep

CLUSTER = Path(__file__).parents[2] / "docs" / "cluster"


@pytest.fixture(scope="module")
def ray_up() -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / "ray-up.yaml").read_text())


@pytest.fixture(scope="module")
def ray_job() -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / "kuberay.yaml").read_text())


def test_ray_accepts_the_cluster_file(ray_up):
    schema = Path(ray.__file__).parent / "autoscaler" / "ray-schema.json"
    jsonschema.validate(ray_up, json.loads(schema.read_text()))
    assert ray_up["head_node_type"] in ray_up["available_node_types"]


def test_all_files_name_the_versions_that_the_tests_ran_with(ray_up, ray_job):
    constraints = (CLUSTER.parents[1] / "constraints.txt").read_text().splitlines()
    (pinned,) = (line.split("==")[1] for line in constraints if line.startswith("ray=="))
    assert f"ray[rllib]=={pinned}" in str(ray_up["setup_commands"])
    assert ray_job["spec"]["rayClusterSpec"]["rayVersion"] == pinned
    for file in ("ray-up.yaml", "kuberay.yaml"):
        assert rommeo_rllib.__version__ in (CLUSTER / file).read_text()


def test_the_jobs_entrypoint_is_a_sweep_that_the_command_line_understands(ray_job):
    program, command, *arguments = ray_job["spec"]["entrypoint"].split()
    assert (program, command) == ("rommeo", "sweep")
    sweep = tyro.cli(Sweep, args=arguments)
    sweep.request()
    assert sweep.resume
    mounts = [
        container["volumeMounts"][0]["mountPath"]
        for group in (
            ray_job["spec"]["rayClusterSpec"]["headGroupSpec"],
            *ray_job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
        )
        for container in group["template"]["spec"]["containers"]
    ]
    assert set(mounts) == {sweep.storage}
