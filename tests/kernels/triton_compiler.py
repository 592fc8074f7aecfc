"""Compiles every kernel that a few calls of each kind launch, for a card that need not be there.

The interpreter takes what Triton's compiler refuses. Prints the number of kernels and the bytes of
their machine code as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

sys.path.insert(0, str(Path(__file__).parents[1]))

from kit.native import drawn
from taylored.kernels.executor import packed
from taylored.kernels.triton import launch

TARGET = GPUTarget("cuda", 80, 32)
POINTERS = {
    torch.float32: "*fp32", torch.float64: "*fp64", torch.bfloat16: "*bf16", torch.float16: "*fp16",
    torch.int64: "*i64", torch.int32: "*i32", torch.bool: "*i1", torch.uint8: "*u8",
}  # fmt: skip


class Compiled:
    """Stands for a kernel, and compiles what it is launched with."""

    def __init__(self, kernel: Any, sizes: list[int]) -> None:
        self.kernel, self.sizes = kernel, sizes

    def __getitem__(self, grid: object) -> Any:
        return self

    def __call__(self, *given: Any, **constants: Any) -> None:
        names = self.kernel.arg_names
        signature = {
            name: POINTERS[value.dtype] if isinstance(value, torch.Tensor) else "i32"
            for name, value in zip(names, given, strict=False)
        }
        signature |= dict.fromkeys(constants, "constexpr")
        source = ASTSource(self.kernel, signature, constexprs=constants)
        self.sizes.append(len(triton.compile(source, target=TARGET).asm["cubin"]))


def main() -> None:
    sizes: list[int] = []
    with mock.patch.multiple(launch, **{
        name: Compiled(getattr(launch, name), sizes)
        for name in ("sigmoid", "softmax_hard", "softmax_soft")
    }):  # fmt: skip
        for seed in range(int(sys.argv[1])):
            for dtype in (torch.float32, torch.float64, torch.bfloat16):
                logits, plan = drawn(seed, dtype).prepared()
                sums = torch.zeros(2, logits.shape[1], dtype=torch.float64)
                launch.launched(*packed(logits, plan), torch.empty_like(logits), sums)
    sys.stdout.write(json.dumps({"kernels": len(sizes), "least": min(sizes)}))


if __name__ == "__main__":
    main()
