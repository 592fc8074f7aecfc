"""Softcap: any loss of logits that are bent so that they stay below a cap."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.inputs.donated_logits import Donated
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.sharded_logits import ShardedLogits
from taylored.core.numerics import computing_dtype, softcapped
from taylored.core.plan.options import Options
from taylored.losses.as_loss import as_loss
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.wrapper import WrapperLoss

__all__ = ["SoftcapLoss"]


def capped(input: Logits, cap: float) -> Logits:
    """The logits c tanh(z / c), in the form in which they are given."""
    if isinstance(input, LinearLogits):
        if input.softcap is not None:
            fail("input", "without a softcap, which the loss has", repr(input), "leave one out")
        return replace(input, softcap=cap)
    if isinstance(input, Donated):
        # The new tensor is nobody else's: it is what the loss may overwrite.
        return Donated(softcapped(input.outline(), cap))
    if isinstance(input, ShardedLogits):
        local = input.local.to(computing_dtype(input.local))
        return replace(input, local=softcapped(local, cap))
    if not isinstance(input, Tensor) or not input.is_floating_point():
        return input  # for the checks to refuse
    return softcapped(input.to(computing_dtype(input)), cap)


class SoftcapLoss(WrapperLoss):
    r"""A loss of the capped logits :math:`c \tanh(z / c)`.

    Logits cannot grow without end, and their pull fades as they come near the cap, which steadies
    the training of large models in half precision. The cap belongs to the model: its predictions
    are to be made from capped logits too, as `posterior` does. Small logits are hardly changed.

    `LinearLogits` are capped a few rows at a time. For a model whose head caps its logits already,
    `LinearLogits(features, weight, softcap=30.0)` says so without a wrapper. A logit of -inf comes
    out as -cap: mask classes after the cap.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> from taylored import CrossEntropyLoss
        >>> loss = SoftcapLoss(CrossEntropyLoss(), cap=5.0)
        >>> logits = torch.tensor([[20.0, 0.0]], requires_grad=True)
        >>> value = loss(logits, torch.tensor([1]))
        >>> value.backward()
        >>> value, logits.grad
        (tensor(5.0034, grad_fn=...), tensor([[ 0.0013, -0.9933]]))

    Inference: `predict` is that of the wrapped loss; `posterior` caps the logits first.
    """

    loss: Annotated[
        nn.Module,
        About(
            "the loss of the capped logits; it is copied",
            domain="a loss of logits and targets; torch's CrossEntropyLoss and BCEWithLogitsLoss "
            "too",
            fixed=True,
            convert=as_loss,
        ),
    ] = positional(kw_only=False)
    cap: Annotated[
        float,
        About(
            "c, which no logit exceeds; raising it bends them less",
            within="(0, inf)",
            fix="30 is usual for language models",
            search=(5.0, 50.0, "log"),
        ),
    ] = 30.0

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The wrapped loss of the capped logits."""
        return self.inner.evaluate(capped(input, self.cap), target, options)

    def published(self, outputs: Tensor) -> Tensor:
        """The reading of the wrapped loss, of the capped outputs."""
        return self.inner.published(softcapped(outputs.to(computing_dtype(outputs)), self.cap))

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """The reading of the wrapped loss, of the capped outputs."""
        capped_outputs = softcapped(outputs.to(computing_dtype(outputs)), self.cap)
        return self.inner.calibrated(capped_outputs, options)


SPEC = spec_of(
    "softcap",
    SoftcapLoss,
    summary="any loss of logits that are softly capped, c tanh(z / c)",
    formula=r"L(c \tanh(z / c))",
    reference=Reference(
        "Gemma Team",
        "Gemma 2: Improving Open Language Models at a Practical Size",
        "arXiv 2408.00118",
        "logit soft-capping",
    ),
    differs={
        "Liger / TRL": "softcap of their fused linear cross-entropy: equal, of `LinearLogits`",
    },
    value_range="that of the wrapped loss",
    denominator="that of the wrapped loss",
    examples=(
        "softcap(cross_entropy(), cap=5)",
        'softcap(focal(gamma=2, link="sigmoid"), cap=3)',
    ),
)
