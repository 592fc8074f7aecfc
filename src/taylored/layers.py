"""Classifier layers that a loss asks for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.embeddings.pairs import directions
from taylored.core.inputs.linear_logits import LinearLogits
from taylored.core.numerics import computing_dtype, softcapped

_SHORTEST = 1e-12
"""Vectors with no larger entry have no direction (the guard of torch's own `normalize`)."""


class CosineClassifier(nn.Module):
    """Cosines between the features and one vector per class, in [-1, 1].

    The last layer for losses with a margin (`LDAMLoss`) or a scale of their own: neither longer
    features nor longer class vectors can buy a margin, so frequent classes gain nothing by growing.
    The loss multiplies by its scale; for a loss without one, multiply yourself (16 to 30 is usual).

    Args:
        in_features: length of a feature vector.
        out_features: number of classes.

    Shape:
        (..., in_features) to (..., out_features); float32 for half-precision features and under
        autocast. A feature vector of zeros has cosine 0 to every class, and gets no gradient.

    Example:
        >>> import torch
        >>> layer = CosineClassifier(2, 3)
        >>> _ = layer.weight.data.copy_(torch.tensor([[5.0, 0.0], [0.0, 0.1], [-1.0, 1.0]]))
        >>> layer(torch.tensor([[3.0, 3.0], [0.0, 0.0]])).detach()
        tensor([[0.7071, 0.7071, 0.0000],
                [0.0000, 0.0000, 0.0000]])

    Reference:
        Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
        NeurIPS 2019, where features and last layer are normalised.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.weight = nn.Parameter(
            torch.empty(out_features, in_features, device=torch.get_default_device())
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Directions drawn evenly, as vectors of length one."""
        nn.init.normal_(self.weight)
        with torch.no_grad():
            self.weight.copy_(_directions(self.weight))

    def forward(self, input: Tensor) -> Tensor:
        """The cosine to each class."""
        # In half precision a cosine times 30 would be off by a tenth.
        with torch.autocast(input.device.type, enabled=False):
            return F.linear(_directions(input), _directions(self.weight))

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


class RankClassifier(nn.Module):
    """One score, and a bias for each threshold between ranks: the last layer for `CORALLoss`.

    All thresholds look at the same score, so that whoever is likely above a threshold is as likely
    above the ones before it, once the biases fall. They begin in this order, evenly between 1 and
    0, and keep it where the loss is at its least.

    Args:
        in_features: length of a feature vector.
        num_classes: number of ranks, K; more ranks have more biases, and no more weights.

    Shape:
        (..., in_features) to (..., K - 1).

    Example:
        >>> import torch
        >>> layer = RankClassifier(2, 4)
        >>> _ = layer.weight.data.fill_(1.0)
        >>> layer(torch.tensor([[1.0, 0.5]])).detach()
        tensor([[2.5000, 2.1667, 1.8333]])

    Reference:
        Cao, Mirjalili, Raschka, Rank Consistent Ordinal Regression for Neural Networks with
        Application to Age Estimation, Pattern Recognition Letters 2020, theorem 1.
    """

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__()
        if num_classes < 2:
            fail("num_classes", "at least 2", num_classes, "count the ranks")
        self.in_features = in_features
        self.num_classes = num_classes
        device = torch.get_default_device()
        self.weight = nn.Parameter(torch.empty(1, in_features, device=device))
        self.bias = nn.Parameter(torch.empty(num_classes - 1, device=device))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """A weight as that of `nn.Linear`, and biases that fall from 1."""
        bound = 1.0 / max(1, self.in_features) ** 0.5
        nn.init.uniform_(self.weight, -bound, bound)
        with torch.no_grad():
            steps = torch.arange(self.num_classes - 1, 0, -1, device=self.bias.device)
            self.bias.copy_(steps / (self.num_classes - 1))

    def forward(self, input: Tensor) -> Tensor:
        """The score, moved by the bias of each threshold."""
        return F.linear(input, self.weight) + self.bias

    def extra_repr(self) -> str:
        """The sizes."""
        return f"in_features={self.in_features}, num_classes={self.num_classes}"


class LinearHead(nn.Linear):
    """A linear head whose forward is the loss, where a target is given.

    The loss is found from features and weight, as of `LinearLogits`, inside of this module's own
    forward. FSDP2 and ZeRO-3 gather a weight there and nowhere else: read outside, `head.weight` is
    a shard of it, or empty. Parameters and state dict are those of `nn.Linear`, and so are the
    logits that it returns where no target is given.

    Args:
        in_features: length of a feature vector.
        out_features: number of classes.
        loss: a loss of this library that takes `LinearLogits`. What it remembers is saved with the
            head.
        bias: whether there is one; as in `nn.Linear`.
        softcap: c > 0 where the logits are c tanh(z / c); raising it bends them less, None not at
            all.
        sample: in training, the share of the classes without a sample in the batch that estimate
            the loss (see `LinearLogits`); raising it comes nearer to the loss of all, None is that.
        memory: bytes of logits at one time; raising it is faster up to a point, None chooses.
        device: of the parameters.
        dtype: of the parameters.

    Shape:
        features (N, d1, ..., D) to logits (N, d1, ..., C), the classes last as in `nn.Linear`; with
        a target (N, d1, ...) to what the loss returns.

    Raises:
        ValueError: for a loss of torch's, and by the loss.

    Example:
        >>> import torch
        >>> from taylored import FocalLoss, LinearHead
        >>> head = LinearHead(8, 1000, FocalLoss(gamma=2.0))
        >>> features, target = torch.randn(2, 5, 8), torch.randint(1000, (2, 5))
        >>> head(features, target).backward()
        >>> head(features).shape, list(head.state_dict())
        (torch.Size([2, 5, 1000]), ['weight', 'bias'])

    `LinearHead.of(model.lm_head, loss)` takes the place of a head that is there. A loss that needs
    all logits at once is called on them: `loss(head(features).movedim(-1, 1), target)`.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        loss: nn.Module,
        *,
        bias: bool = True,
        softcap: float | None = None,
        sample: float | None = None,
        memory: int | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(in_features, out_features, bias, device, dtype)
        if not isinstance(loss, nn.Module) or type(loss).__module__.startswith("torch."):
            fail("loss", "a loss of this library, which takes LinearLogits", repr(loss),
                 "use taylored.CrossEntropyLoss() for torch's")  # fmt: skip
        self.loss = loss
        self.softcap = softcap
        self.sample = sample
        self.memory = memory

    @classmethod
    def of(
        cls,
        head: nn.Linear,
        loss: nn.Module,
        *,
        softcap: float | None = None,
        sample: float | None = None,
        memory: int | None = None,
    ) -> LinearHead:
        """A head with the parameters of another one, which may be tied to others."""
        if not isinstance(head, nn.Linear):
            fail("head", "a torch.nn.Linear", type(head).__name__, "pass model.lm_head")
        sizes = (head.in_features, head.out_features)
        bias = head.bias is not None
        made = cls(
            *sizes, loss, bias=bias, softcap=softcap, sample=sample, memory=memory, device="meta"
        )
        made.weight, made.bias = head.weight, head.bias
        return made

    def forward(
        self,
        input: Tensor,
        target: Tensor | None = None,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of the features against a target; without one, the logits."""
        if target is None:
            logits = super().forward(input)
            return logits if self.softcap is None else softcapped(logits, self.softcap)
        named = {"sample_weight": sample_weight, "normalizer": normalizer}
        given = {name: value for name, value in named.items() if value is not None}
        sample = self.sample if self.training else None
        logits_of = LinearLogits(
            input, self.weight, self.bias, self.softcap, sample, memory=self.memory
        )
        found: Tensor = self.loss(logits_of, target, **given)
        return found

    def extra_repr(self) -> str:
        """The sizes."""
        named = {"softcap": self.softcap, "sample": self.sample, "memory": self.memory}
        given = (f", {name}={value}" for name, value in named.items() if value is not None)
        return super().extra_repr() + "".join(given)


def _directions(vectors: Tensor) -> Tensor:
    """Each vector of the last axis at length one, in single precision at least."""
    return directions(vectors.to(computing_dtype(vectors)), _SHORTEST)
