"""The wheel works outside the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    # From a copy, so that the build leaves nothing behind in the checkout.
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", "--local", str(CHECKOUT), str(source)], check=True)
    subprocess.run([sys.executable, *command, "-w", str(folder), str(source)], check=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_puts_a_single_name_into_site_packages(wheel: Path):
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"rommeo_rllib"}


def test_the_wheel_holds_every_module_and_every_file_that_they_read(wheel: Path):
    tracked = ["git", "ls-files", "rommeo_rllib", "envs", "tuned_configs"]
    files = subprocess.run(tracked, check=True, cwd=CHECKOUT, capture_output=True, text=True).stdout
    inside = {name.removeprefix("rommeo_rllib/") for name in files.split()}
    found = {
        name.removeprefix("rommeo_rllib/")
        for name in zipfile.ZipFile(wheel).namelist()
        if name.startswith("rommeo_rllib/")
    }
    assert "tuned_configs/tabular.json" in inside
    assert found == inside


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """Of an environment that has what the package depends on, but not the package."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False)
    (site_packages,) = environment.glob("lib/python*/site-packages")
    # Dependencies come from this environment's folder; its .pth files, by which it finds the
    # checkout, are not read from there.
    (site_packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return environment / "bin" / "python"


def run_outside(python: Path, folder: Path, *arguments: str) -> str:
    """What the program prints that runs away from the checkout."""
    outside = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(python), *arguments]
    return subprocess.run(
        command, check=True, cwd=folder, env=outside, timeout=240, stdout=subprocess.PIPE, text=True
    ).stdout


def test_an_environment_with_only_the_wheel_trains_from_the_command_line(
    wheel: Path, bare_python: Path, tmp_path: Path
):
    (site_packages,) = bare_python.parents[1].glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site_packages)
    table = tmp_path / "table.json"
    run_outside(
        bare_python,
        tmp_path,
        *("-m", "rommeo_rllib.cli", "train", "max_of_two_quadratics/rommeo_ac"),
        *("--stop-steps", "75", "--storage", str(tmp_path / "results"), "--json", str(table)),
    )
    (row,) = json.loads(table.read_text())
    assert row["env_steps"] == 75
    assert row["seed"] == 0


SHIPPED = """
import importlib.util
import sys

import ray

assert importlib.util.find_spec("rommeo_rllib") is None
ray.init(num_cpus=1, include_dashboard=False, runtime_env={"py_modules": [sys.argv[1]]})


@ray.remote
def registered_algorithm():
    import rommeo_rllib
    from ray.tune.registry import get_trainable_cls

    return get_trainable_cls("ROMMEO-AC").__name__


print(ray.get(registered_algorithm.remote()))
"""


def test_an_unpacked_wheel_shipped_with_the_job_is_all_that_a_worker_needs(
    wheel: Path, bare_python: Path, tmp_path: Path
):
    # As it is, Ray would have pip install it with all it depends on, torch and Ray included.
    zipfile.ZipFile(wheel).extractall(tmp_path / "shipped")
    package = tmp_path / "shipped" / "rommeo_rllib"
    assert run_outside(bare_python, tmp_path, "-c", SHIPPED, str(package)) == "ROMMEOAC\n"
