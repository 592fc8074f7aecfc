"""Probabilities leave Python with the model: torch.export, ONNX, and compiled whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from kit.catalogued import CLASSIFICATION
from kit.population import loss_of_text
from kit.tolerances import close
from kit.turns import by_family
from taylored import adjust_logits

COUNTS = [900, 250, 40, 7, 1]
OTHER = [1.0, 1.0, 2.0, 3.0, 3.0]
SOME = [
    "cross_entropy(label_smoothing=0.1)",
    "focal(gamma=[0, 0.5, 1, 2, 5])",
    "balanced_softmax()",
    "deferred(ldam(scale=2), start=0)",
    "asymmetric()",
    "softmax_eql()",
    "sigmoid_eql()",
    "poly(epsilon=1, gamma=0.5)",
    "jensen_shannon(pi=0.5)",
]
"""One of each kind: each takes seconds."""

FIRST = [spec.examples[0] for spec in CLASSIFICATION.values()]
FIRST = [text for text in FIRST if loss_of_text(text).has_posterior]


class Deployed(nn.Module):
    """A model whose outputs are read by its loss."""

    def __init__(self, text: str, **prior: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.head = nn.Linear(4, 5)
        self.loss = loss_of_text(text).float().eval()
        self.prior = prior

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs = self.head(features)
        probabilities = self.loss.posterior(outputs, **self.prior)
        logits = self.loss.logits(outputs, **self.prior)
        return probabilities, logits, self.loss.predict(outputs)


class Adjusted(nn.Module):
    """Post-hoc logit adjustment, as part of the model."""

    def __init__(self, counts: Any) -> None:
        super().__init__()
        self.counts = counts

    def forward(self, logits: Tensor) -> Tensor:
        return adjust_logits(logits, counts=self.counts)


def deployed(text: str, *, as_list: bool) -> list[Deployed]:
    counts: Any = COUNTS if as_list else torch.tensor(COUNTS)
    loss = loss_of_text(text)
    if loss.link == "sigmoid" and not text.startswith("class_balanced"):
        moved = Deployed(text, prior="balanced", counts=counts, num_samples=2000.0)
    else:
        moved = Deployed(text, prior=OTHER if as_list else torch.tensor(OTHER), counts=counts)
    return [Deployed(text), moved]


def features() -> Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(1))


def same(found: Any, expected: Any) -> None:
    found = found if isinstance(found, (tuple, list)) else (found,)
    expected = expected if isinstance(expected, tuple) else (expected,)
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.as_tensor(got), want, rtol=1e-4, atol=1e-5, equal_nan=True)


@by_family
@pytest.mark.parametrize("text", SOME)
def test_exported_programs(text: str) -> None:
    model = deployed(text, as_list=False)[1]
    x, rows = features(), torch.export.Dim("rows", min=2)
    program = torch.export.export(model, (x,), dynamic_shapes=({0: rows},))
    same(program.module()(x), model(x))
    same(program.module()(x[:3]), model(x[:3]))


@by_family
@pytest.mark.parametrize("text", SOME)
def test_compiled_whole(text: str) -> None:
    model = deployed(text, as_list=True)[1]
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    same(compiled(features()), model(features()))


def through_onnx(model: nn.Module, x: Tensor) -> list[np.ndarray[Any, Any]]:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    program = torch.onnx.export(model, (x,), dynamo=True, verbose=False)
    assert program is not None
    session = runtime.InferenceSession(program.model_proto.SerializeToString())
    found: list[np.ndarray[Any, Any]] = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", SOME[:3])
def test_onnx(text: str) -> None:
    model = deployed(text, as_list=text != SOME[0])[1]
    same(through_onnx(model, features()), model(features()))


class Read(nn.Module):
    """What a loss makes of outputs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loss = loss_of_text(text).float().eval()

    def forward(self, outputs: Tensor) -> Tensor:
        return self.loss.posterior(outputs)


@by_family
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("text", [text for text in FIRST if text != SOME[0]])
def test_onnx_keeps_all_digits(text: str) -> None:
    """ONNX has no log1p and no expm1, and the sigmoid of its runtimes has no small numbers."""
    model = Read(text)
    some = torch.randn(8, 6, generator=torch.Generator().manual_seed(2))
    far = torch.tensor([[1e4, 0.0, -1e4, 3.0, 5.0, 0.0], [1e6, 1e6, 1e6 + 1, 1e6, 0.0, 0.0]])
    outputs = torch.cat([some, 10 * some, 60 * some, 0 * some[:1], far])
    outputs = outputs[:, : max(5, model.loss.num_columns())]
    expected = model(outputs)
    assert not expected.isnan().all()
    (found,) = through_onnx(model, outputs)
    torch.testing.assert_close(
        torch.as_tensor(found), expected, rtol=1e-4, atol=1e-30, equal_nan=True
    )


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("counts", [COUNTS, torch.tensor(COUNTS)], ids=["list", "tensor"])
def test_adjusted_logits(counts: Any) -> None:
    model, x = Adjusted(counts), torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    expected = model(x)
    close(expected, adjust_logits(x, counts=COUNTS))
    same(torch.export.export(model, (x,)).module()(x), expected)
    torch._dynamo.reset()
    same(torch.compile(model, fullgraph=True, backend="aot_eager")(x), expected)
    same(through_onnx(model, x), expected)
