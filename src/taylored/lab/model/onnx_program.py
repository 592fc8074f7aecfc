"""Write a program as ONNX without losing what its operations are careful about.

The exporter spells some operations in the obvious way: logsigmoid as the logarithm of a sigmoid,
which is -inf from -104 on, log1p as log(1 + x). They are replaced by forms that keep their digits.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import softplus

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
    table = torch.export.default_decompositions()
    table.update(_STABLE)
    torch.onnx.export(
        program.run_decompositions(table),
        (),
        target,
        input_names=["rows"],
        output_names=["scores", "probabilities"],
        dynamo=True,
        verbose=False,
    )


def _log_sigmoid(x: Tensor) -> Tensor:
    return -softplus(-x)


def _log_sigmoid_forward(x: Tensor) -> tuple[Tensor, Tensor]:
    return -softplus(-x), x.new_empty(0)


def _expm1(x: Tensor) -> Tensor:
    return torch.tanh(x / 2) * (x.exp() + 1)


def _log1p(x: Tensor) -> Tensor:
    # The error of 1 + x is in both factors and cancels (Kahan).
    rounded = 1 + x
    exact = rounded == 1
    return torch.where(exact, x, rounded.log() * x / torch.where(exact, 1.0, rounded - 1))


def _logaddexp(a: Tensor, b: Tensor) -> Tensor:
    apart = a - b
    larger = torch.maximum(a, b)
    return torch.where(apart.isfinite(), larger + softplus(-apart.abs()), larger)


_ATEN: Final[Any] = torch.ops.aten
_STABLE: Final[Mapping[Any, Callable[..., Any]]] = {
    _ATEN.log_sigmoid.default: _log_sigmoid,
    _ATEN.log_sigmoid_forward.default: _log_sigmoid_forward,
    _ATEN.expm1.default: _expm1,
    _ATEN.log1p.default: _log1p,
    _ATEN.logaddexp.default: _logaddexp,
}
