"""Draw docs/gradient-maps.png: where four losses correct a guess of the strokes of a kanji.

python docs/gradient_maps.py
"""

from pathlib import Path

import torch
import torch.nn.functional as F

from taylored import analysis
from taylored.lab.data import load

LOSSES = (
    "binary_cross_entropy",
    'focal(gamma=2, link="sigmoid")',
    'dice(link="sigmoid")',
    'dice(link="sigmoid") + 0.5 * binary_cross_entropy',
)


def main() -> None:
    images = torch.as_tensor(load("kanjivg-components").features)
    ink = images[images.mean((1, 2, 3)).argsort()[len(images) // 2]].unsqueeze(0)
    guess = 12 * F.avg_pool2d(ink, 5, stride=1, padding=2) - 3
    maps = analysis.gradient_maps(LOSSES, guess, (ink > 0.5).float())
    figure, axes = maps.draw()
    for each, name in zip(axes, LOSSES, strict=True):
        share = maps.share(name, (ink > 0.5)[:, 0])
        short = name.replace('(link="sigmoid")', "").replace(', link="sigmoid"', "")
        each.set_title(f"{short}\n{share:.0%} on strokes", fontsize="small")
    figure.savefig(Path(__file__).with_name("gradient-maps.png"), dpi=100, bbox_inches="tight")


if __name__ == "__main__":
    main()
