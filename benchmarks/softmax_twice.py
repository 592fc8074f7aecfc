"""What a softmax behind the last layer costs a model whose loss has one already.

    python benchmarks/softmax_twice.py

A network of one hidden layer learns the digits of scikit-learn with torch's cross-entropy and
AdamW, on its logits and on their softmax (which ours refuse). Of several learning rates each
has the one with the best mean accuracy on the test half over the seeds, after the last epoch.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

RATES = (0.003, 0.01, 0.03)
SEEDS = range(3)
EPOCHS = (1, 3, 10, 20)
BATCH = 64


def halves() -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=torch.Generator().manual_seed(0))
    inputs = torch.tensor(digits.data, dtype=torch.float32)[order] / 16
    classes = torch.tensor(digits.target)[order]
    half = len(order) // 2
    return (inputs[:half], classes[:half]), (inputs[half:], classes[half:])


def accuracies(link: nn.Module, rate: float, seed: int) -> list[float]:
    """On the test half, after each of the epochs that are reported."""
    (inputs, classes), (others, truths) = halves()
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10), link)
    optimizer, loss, found = (
        torch.optim.AdamW(model.parameters(), lr=rate),
        nn.CrossEntropyLoss(),
        [],
    )
    for epoch in range(1, max(EPOCHS) + 1):
        for batch in torch.randperm(len(inputs)).split(BATCH):
            optimizer.zero_grad()
            loss(model(inputs[batch]), classes[batch]).backward()
            optimizer.step()
        if epoch in EPOCHS:
            right = model(others).argmax(1) == truths
            found.append(100 * right.double().mean().item())
    return found


def main() -> None:
    print("| trained on | learning rate |", " | ".join(f"epoch {e}" for e in EPOCHS), "|")
    print("| --- | ---:", "| ---: " * len(EPOCHS) + "|")
    for name, link in (("logits", nn.Identity()), ("their softmax", nn.Softmax(1))):
        means = {}
        for rate in RATES:
            found = torch.tensor([accuracies(link, rate, seed) for seed in SEEDS])
            means[rate] = found.mean(0).tolist()
        best = max(means, key=lambda rate: means[rate][-1])
        print(f"| {name} | {best} |", " | ".join(f"{mean:.1f}" for mean in means[best]), "|")


if __name__ == "__main__":
    main()
