"""`rommeo export`: a checkpoint's policy for programs that know neither Ray nor this package."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Annotated

import tyro
from rich.console import Console

from rommeo_rllib.commands import options
from rommeo_rllib.commands.errors import UsageError
from rommeo_rllib.commands.tuning import import_ray_quietly


@dataclass
class Export:
    """Write a policy of a checkpoint as a torch.export or ONNX program, or its weights.

    Only use checkpoints that you trust: RLlib stores parts of them as pickled objects.
    """

    checkpoint: options.Checkpoint
    """The checkpoint's folder."""

    policy: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="POLICY")]
    """The policy's id."""

    program: options.OptionalFile = None
    """File for the greedy policy as a program of torch.export, from observations to actions in the
    environment's units; usually ends with .pt2."""

    onnx: options.OptionalFile = None
    """File for the same in the ONNX format; needs the extra "export"."""

    weights: options.OptionalFile = None
    """File for all parameters in the safetensors format; needs the extra "export"."""

    def run(self, console: Console) -> None:
        """Writes what was asked for."""
        files = (self.program, self.onnx, self.weights)
        if not any(files):
            raise UsageError("Nothing to write: give --program, --onnx or --weights, and a FILE.")
        import_ray_quietly()
        # torch misses torchvision, which no policy needs, in a line for each of its operators.
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        from rommeo_rllib.deployment.export import export_onnx, export_program, save_weights
        from rommeo_rllib.deployment.player import Player

        try:
            policy = Player.from_checkpoint(self.checkpoint, self.policy).policy
        except ValueError as error:
            raise UsageError(str(error)) from error
        for file, write in zip(files, (export_program, export_onnx, save_weights), strict=True):
            if file is not None:
                file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    write(policy, file)
                except ModuleNotFoundError as error:
                    raise UsageError(f"{error}: pip install 'rommeo-rllib[export]'.") from error
                console.print(f"Written: {file}", soft_wrap=True)
