"""Write a program as ONNX."""

from pathlib import Path

import torch

from taylored.lab.errors import UsageError


def write_onnx(program: torch.export.ExportedProgram, target: Path) -> None:
    """Write a program from rows to scores and probabilities."""
    try:
        import onnx  # noqa: F401 - only to say what is missing
        import onnxscript  # noqa: F401
    except ModuleNotFoundError as error:
        raise UsageError(
            f"exporting to ONNX needs the package {error.name!r}: pip install onnx onnxscript"
        ) from error
    torch.onnx.export(
        program,
        (),
        target,
        input_names=["rows"],
        output_names=["scores", "probabilities"],
        dynamo=True,
        verbose=False,
    )
