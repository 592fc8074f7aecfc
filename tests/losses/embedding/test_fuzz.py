"""Losses of embeddings as they come: any parameters, batches, lengths of vectors and dtypes.

`TAYLORED_FUZZ=10000 pytest tests/losses/embedding/test_fuzz.py` draws more of them.
"""

from __future__ import annotations

import os

import hypothesis.strategies as st
import torch
from hypothesis import HealthCheck, Phase, given, reject, settings

from kit.catalogued import EMBEDDINGS
from kit.checks.embedding import expected_of, gradient, loss_of
from kit.drawn_calls import values_of
from kit.parameters import fields_of
from kit.tolerances import close
from references import Call

drawn_often = settings(
    max_examples=int(os.environ.get("TAYLORED_FUZZ", "200")),
    deadline=None,
    derandomize="TAYLORED_FUZZ" not in os.environ,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)

FIXED = ("reduction", "process_group", "ignore_index")
DTYPES = (torch.float64, torch.float64, torch.float32, torch.bfloat16, torch.float16)


@st.composite
def calls(pick: st.DrawFn) -> str:
    """A loss with parameters in their domains."""
    name = pick(st.sampled_from(list(EMBEDDINGS)))
    fields = {key: field for key, field in fields_of(name).items() if key not in FIXED}
    chosen = {key: pick(values_of(field)) for key, field in fields.items() if pick(st.booleans())}
    text = Call(name, None, chosen).text()
    try:
        loss_of(text)
    except ValueError:  # parameters that do not go together
        reject()
    return text


def batch(seed: int, odd: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Vectors in few dimensions, and classes of which some have one sample."""
    dice = torch.Generator().manual_seed(seed)
    count = int(torch.randint(0, 9, (1,), generator=dice))
    x = torch.randn(count, 3, generator=dice, dtype=torch.float64)
    labels = torch.randint(4, (count,), generator=dice)
    if odd == "twins":  # equal and opposite vectors, and some without a direction
        x[1::3], x[2::3] = x[:1], -x[:1]
    if odd == "zeros":
        x[::2] = 0.0
    if odd == "ignored":
        labels[torch.rand(count, generator=dice) < 0.4] = -100
    return x, labels


@drawn_often
@given(
    calls(),
    st.sampled_from(DTYPES),
    st.sampled_from((1e-6, 1.0, 1.0, 1e3)),
    st.sampled_from(("", "", "twins", "zeros", "ignored")),
    st.integers(0, 2**32),
)
def test_batches_as_they_come(
    text: str, dtype: torch.dtype, size: float, odd: str, seed: int
) -> None:
    x, labels = batch(seed, odd)
    size = 1.0 if dtype in (torch.float16, torch.bfloat16) else size
    x = (size * x).to(dtype)
    value = loss_of(text)(x, labels)
    found = gradient(loss_of(text), x, labels)
    assert value.isfinite()
    assert found.isfinite().all()
    assert (found[labels == -100] == 0).all()
    if odd in ("twins", "zeros"):
        return  # which pair is the nearest of equal ones is rounding
    kept = labels != -100
    values, counted = torch.zeros(0), kept[:0]
    if kept.any():
        values, counted = expected_of(text, x[kept], labels[kept])
    if not counted.any():  # nothing to be compared with
        assert value == 0
        assert (found == 0).all()
        return
    if not values.isfinite().all():
        return  # the naive form, of a large factor
    exact = dtype == torch.float64
    expected = values.sum() / counted.sum().clamp_min(1)
    close(value, expected, 1e-9 if exact else 1e-3, 1e-10 if exact else 1e-3)
    if exact and values.max() < 100.0:  # beyond, exponentials of the naive form underflow
        leaf = x[kept].clone().requires_grad_()
        wanted = expected_of(text, leaf, labels[kept])[0].sum() / counted.sum().clamp_min(1)
        (slope,) = torch.autograd.grad(wanted, leaf)
        close(found[kept], slope.nan_to_num(0.0), 1e-6, 1e-8 / size)
