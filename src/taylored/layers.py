"""Classifier layers that a loss asks for."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.embeddings.pairs import directions
from taylored.core.numerics import computing_dtype

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


def _directions(vectors: Tensor) -> Tensor:
    """Each vector of the last axis at length one, in single precision at least."""
    return directions(vectors.to(computing_dtype(vectors)), _SHORTEST)
