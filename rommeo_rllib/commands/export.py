"""`rommeo export`: a checkpoint's policy for programs that know neither Ray nor this package."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from rommeo_rllib.commands import options
from rommeo_rllib.errors import UsageError, told
from rommeo_rllib.experiments.ray_session import import_ray_quietly
from rommeo_rllib.naming import shown


@dataclass
class Export:
    """Write a policy of a checkpoint as a torch.export or ONNX program, its weights, or a bundle.

    Reads the checkpoint's bundle, and runs no code from it; a policy that is in no bundle is read
    with --trust only.
    """

    checkpoint: options.Checkpoint
    """Folder of a checkpoint or bundle."""

    policy: Annotated[
        tyro.conf.Positional[str],
        tyro.conf.arg(metavar="POLICY", help_behavior_hint="(default: none)"),
    ] = ""
    """The policy's id; needed for all but --bundle."""

    program: options.OptionalFile = None
    """File for the greedy policy as a program of torch.export, from observations to actions in the
    environment's units; usually ends with .pt2."""

    onnx: options.OptionalFile = None
    """File for the same in the ONNX format; needs the extra "export"."""

    weights: options.OptionalFile = None
    """File for all parameters in the safetensors format."""

    bundle: options.OptionalFile = None
    """Folder for a bundle of all policies: what `Player.from_bundle` and `rommeo evaluate` need, as
    JSON and safetensors, for people who do not know you."""

    trust: options.Trust = False

    def run(self, console: Console) -> None:
        """Writes what was asked for."""
        files = (self.program, self.onnx, self.weights)
        if not any((*files, self.bundle)):
            raise UsageError(
                "Nothing to write: give --program, --onnx, --weights or --bundle, and a FILE."
            )
        if any(files) and not self.policy:
            raise UsageError("Which policy? Give its id after the checkpoint.")
        if self.policy and not any(files):
            raise UsageError(
                f"--bundle writes all policies, not {shown(self.policy)} alone: leave it out."
            )
        for option in ("program", "onnx", "weights"):
            options.require_writable(f"--{option}", getattr(self, option))
        if self.bundle is not None:
            options.require_writable_folder("--bundle", self.bundle)
        options.require_different_files(
            {f"--{name}": getattr(self, name) for name in ("program", "onnx", "weights", "bundle")}
        )
        options.expanded("CHECKPOINT", Path(self.checkpoint))
        import_ray_quietly()
        # torch misses torchvision, which no policy needs, in a line for each of its operators.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        from rommeo_rllib.deployment.bundles import copy_bundle
        from rommeo_rllib.deployment.checkpoints import Trained
        from rommeo_rllib.deployment.export import export_onnx, export_program, save_weights
        from rommeo_rllib.deployment.player import Player, player_of

        with told("The export", self.trust):
            if self.bundle is not None:
                copy_bundle(self.checkpoint, self.bundle.expanduser())
                console.print(f"Written: {self.bundle}", soft_wrap=True, markup=False)
            if not any(files):
                return
            trained = Trained(self.checkpoint, trust=self.trust)
            policy = player_of(trained, self.policy, kind=Player).policy
        for file, write in zip(files, (export_program, export_onnx, save_weights), strict=True):
            if file is not None:
                path = file.expanduser()
                path.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with told("The export", self.trust):
                        write(policy, path)
                except ModuleNotFoundError as error:
                    raise UsageError(f"{error}: pip install 'rommeo-rllib[export]'.") from error
                console.print(f"Written: {file}", soft_wrap=True, markup=False)
