"""Which loss tells rare types of strokes apart, pixel by pixel?

    python examples/segmentation.py                    # one seed, a few minutes
    python examples/segmentation.py --seeds 3 --plot predictions.png

The input is a drawing of a Chinese character, all strokes in the same black; the target of every
inked pixel is the type of its stroke. How often a type occurs is a fact of the script, so the long
tail is real. A small U-Net learns it with three losses from the same split, initial weights and
batches; every seed draws weights and batches anew, and gives the same numbers again on the same
number of threads. The learning rate suits cross-entropy: it is the best of 0.001, 0.003, 0.01 and
0.03 for seed 100. The logits (N, C, H, W) and the targets (N, H, W) go into the losses as they are,
and the paper around the strokes is left out by `ignore_index`.
"""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import torch
import torch.nn.functional as F
import typer
from iou_table import Scores, table, verdicts
from kanji_pixels import IGNORED, Drawings, draw, read_kanji
from prediction_plot import plot, rarest
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn

import taylored
from taylored.cli.failures import reported

LOSSES = ("cross_entropy", "softmax_eql", "focal(gamma=2)")
"""The first is the one that the others are compared with."""

SIZE = 48
"""Pixels of a side: the strokes of the densest characters are still apart."""

_WIDTHS = (16, 32, 64, 128)  # channels, doubled where the resolution is halved
_TEST_SHARE = 0.25
_BATCH = 32
_WARM_UP = 0.15  # of all steps
_SHOWN = 4  # characters in the picture


class Block(nn.Sequential):
    """Two convolutions of 3 x 3 pixels."""

    def __init__(self, inputs: int, outputs: int) -> None:
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv2d(channels, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
            ]
        super().__init__(*layers)


class UNet(nn.Module):
    """Down to an eighth of the resolution and up again, half a million weights.

    Shape:
        (N, 1, H, W), H and W divisible by 8; returns logits (N, num_classes, H, W).
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.down = nn.ModuleList(map(Block, (1, *_WIDTHS[:-1]), _WIDTHS))
        self.up = nn.ModuleList(Block(fine + coarse, fine) for fine, coarse in pairwise(_WIDTHS))
        self.head = nn.Conv2d(_WIDTHS[0], num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every pixel."""
        skipped = []
        for block in self.down[:-1]:
            x = block(x)
            skipped.append(x)
            x = F.max_pool2d(x, 2)
        x = self.down[-1](x)
        for block in reversed(self.up):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), skipped.pop()], dim=1))
        logits: Tensor = self.head(x)
        return logits


@dataclass(frozen=True)
class Part:
    """Some of the drawings."""

    images: Tensor
    targets: Tensor

    def only(self, rows: Tensor) -> "Part":
        """The drawings in `rows`."""
        return Part(self.images[rows], self.targets[rows])


def split(data: Drawings, seed: int) -> tuple[Part, Part]:
    """Training and test part, three to one."""
    order = torch.randperm(len(data.images), generator=_generator(seed, "split"))
    tested = round(_TEST_SHARE * len(order))
    every = Part(data.images, data.targets)
    return every.only(order[tested:]), every.only(order[:tested])


def train(
    loss: nn.Module,
    part: Part,
    num_classes: int,
    *,
    epochs: int,
    lr: float,
    seed: int,
    step_done: Callable[[], None] = lambda: None,
) -> tuple[UNet, list[float]]:
    """A fresh network, trained; and the loss of every step."""
    torch.manual_seed(_stream(seed, "weights"))
    # Convolutions on a CPU are faster with the channels innermost.
    model = UNet(num_classes).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4, fused=True)
    size = min(_BATCH, len(part.images))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=epochs * steps_per_epoch(part), pct_start=_WARM_UP
    )
    generator = _generator(seed, "batches")
    curve = []
    for _ in range(epochs):
        order = torch.randperm(len(part.images), generator=generator)
        for batch in order[: steps_per_epoch(part) * size].split(size):
            value = loss(model(part.images[batch]), part.targets[batch])
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
            curve.append(value.item())
            step_done()
    return model.eval(), curve


def steps_per_epoch(part: Part) -> int:
    """Full batches in the part; the next epoch's order has the rows of a broken one."""
    return max(1, len(part.images) // _BATCH)


@torch.no_grad()
def predict(model: UNet, images: Tensor) -> Tensor:
    """The class of every pixel. All three losses decide by the plain logits."""
    return torch.cat([model(some).argmax(1) for some in images.split(4 * _BATCH)])


def confusion(predictions: Tensor, targets: Tensor, num_classes: int) -> Tensor:
    """Pixels by truth (rows) and prediction (columns), without the ignored ones."""
    counted = targets != IGNORED
    pairs = targets[counted] * num_classes + predictions[counted]
    return torch.bincount(pairs, minlength=num_classes**2).reshape(num_classes, num_classes)


def pixels(part: Part, num_classes: int) -> Tensor:
    """Pixels of every class."""
    return torch.bincount(part.targets[part.targets != IGNORED], minlength=num_classes)


@dataclass(frozen=True)
class Outcome:
    """All results, and the pictures of the first seed.

    `scores` has one entry a seed for every loss.
    """

    train_pixels: list[int]
    scores: dict[str, list[Scores]]
    shown: Part
    predictions: dict[str, Tensor]


def compare(
    data: Drawings,
    losses: Sequence[str],
    *,
    seeds: Sequence[int],
    epochs: int,
    lr: float,
    progress: Progress,
) -> Outcome:
    """Train every loss once for every seed, and test it; the split is that of the first."""
    classes = len(data.names)
    part, test = split(data, seeds[0])
    train_pixels = pixels(part, classes).tolist()
    scores: dict[str, list[Scores]] = {name: [] for name in losses}
    predictions: dict[str, Tensor] = {}
    shown = test.only(rarest(test.targets, classes, _SHOWN))
    for seed in seeds:
        for name in losses:
            start = time.perf_counter()
            loss = taylored.get(name, num_classes=classes)
            bar = progress.add_task(f"seed {seed}, {name}", total=epochs * steps_per_epoch(part))
            model, curve = train(
                loss,
                part,
                classes,
                epochs=epochs,
                lr=lr,
                seed=seed,
                step_done=partial(progress.advance, bar),
            )
            result = confusion(predict(model, test.images), test.targets, classes)
            scores[name].append(Scores.of(result, train_pixels))
            predictions.setdefault(name, predict(model, shown.images))
            progress.remove_task(bar)
            progress.console.print(
                f"seed {seed}  {name}  loss {curve[0]:.2f} to {curve[-1]:.2f}, "
                f"mean IoU {100 * scores[name][-1].mean_iou:.1f} %, "
                f"{time.perf_counter() - start:.0f} s",
                highlight=False,
            )
    return Outcome(train_pixels, scores, shown, predictions)


def main(
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of a loss; 3 allow a verdict.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The first of the seeds.")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training part.")] = 4,
    lr: Annotated[float, typer.Option(help="Peak learning rate, for all losses.")] = 1e-2,
    kanji: Annotated[int | None, typer.Option(min=20, help="Use only so many characters.")] = None,
    out: Annotated[
        Path | None, typer.Option("--plot", help="Draw some predictions to this file.")
    ] = None,
) -> None:
    """IoU of every stroke type for cross-entropy, Softmax-EQL and focal loss."""
    err = Console(stderr=True, highlight=False)
    with (
        reported(),
        Progress(console=err, transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        characters = read_kanji()
        if kanji is not None:
            order = torch.randperm(len(characters), generator=_generator(seed, "characters"))
            characters = [characters[row] for row in order[:kanji].tolist()]
        data = draw(characters, SIZE)
        err.print(f"{len(characters):,} characters, {len(data.names)} types of strokes")
        err.print(f"left out because too rare: {', '.join(data.left_out) or 'none'}")
        outcome = compare(
            data, LOSSES, seeds=range(seed, seed + seeds), epochs=epochs, lr=lr, progress=progress
        )
    console = Console(highlight=False)
    console.print(table(data.names, outcome.train_pixels, outcome.scores))
    for sentence in verdicts(outcome.scores):
        console.print(sentence, soft_wrap=True)
    if out is not None:
        plot(out, outcome.shown.images, outcome.shown.targets, outcome.predictions, data.names)
        console.print(f"Predictions: {out}", soft_wrap=True)


_STREAMS = ("split", "weights", "batches", "characters")


def _stream(seed: int, name: str) -> int:
    """A seed of its own for every use."""
    return len(_STREAMS) * seed + _STREAMS.index(name)


def _generator(seed: int, name: str) -> torch.Generator:
    return torch.Generator().manual_seed(_stream(seed, name))


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command()(main)
    app()
