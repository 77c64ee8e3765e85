"""Finds the packages; all else stands in pyproject.toml.

`envs/` and `tuned_configs/` stand at the top of the checkout; installed, they are
`rommeo_rllib.envs` and `rommeo_rllib.tuned_configs`, so that site-packages gets one name only.
"""

from setuptools import find_packages, setup

FOLDERS = {f"rommeo_rllib.{folder}": folder for folder in ("envs", "tuned_configs")}

setup(
    package_dir={"rommeo_rllib": "rommeo_rllib", **FOLDERS},
    packages=[
        *find_packages(include=["rommeo_rllib", "rommeo_rllib.*"], exclude=[*FOLDERS]),
        *FOLDERS,
        *(
            f"{name}.{inside}"
            for name, folder in FOLDERS.items()
            for inside in find_packages(folder)
        ),
    ],
)
