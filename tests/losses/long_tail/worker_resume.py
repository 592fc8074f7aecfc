"""Train small models on digits with every stateful loss; may save, be killed and go on.

python worker_resume.py FOLDER straight      to the end, `FOLDER/straight.pt`
python worker_resume.py FOLDER until-killed  saves `FOLDER/checkpoint.pt` once, and never ends
python worker_resume.py FOLDER resume        from the checkpoint to the end, `FOLDER/resume.pt`
python worker_resume.py FOLDER forgetful     the same without the loss' state: a planted fault
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from kit.traits import STATEFUL
from taylored import catalog

STEPS = 60
SAVE_AT = 23
LOSSES = (
    *(f"{name}(num_classes=10)" for name in sorted(STATEFUL)),
    'softmax_eql(focal(gamma=2), num_classes=10, floor="share", decay=0.9)',
)


def digits() -> tuple[Tensor, Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    return torch.as_tensor(pixels, dtype=torch.float32) / 16, torch.as_tensor(labels)


class Training:
    """A model, its optimizer and its loss."""

    def __init__(self, text: str) -> None:
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.loss = catalog.get(text)
        parameters = self.model.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=3e-3, weight_decay=0.01)
        self.parts = {"model": self.model, "loss": self.loss, "optimizer": self.optimizer}

    def step(self, features: Tensor, target: Tensor) -> float:
        self.optimizer.zero_grad()
        value = self.loss(self.model(features), target)
        value.backward()
        self.optimizer.step()
        return value.item()


def save(found: Any, path: Path) -> None:
    """All or nothing."""
    part = path.with_suffix(".part")
    torch.save(found, part)
    part.replace(path)


def main(folder: Path, mode: str) -> None:
    torch.set_num_threads(1)
    features, labels = digits()
    trainings = {text: Training(text) for text in LOSSES}
    first = 0
    if mode in ("resume", "forgetful"):
        saved = torch.load(folder / "checkpoint.pt", weights_only=True)
        first = saved["step"]
        for text, training in trainings.items():
            for name, part in training.parts.items():
                if mode == "forgetful" and name == "loss":
                    continue
                part.load_state_dict(saved["parts"][text][name])
    step = first
    while step < STEPS or mode == "until-killed":
        rows = torch.randperm(len(labels), generator=torch.Generator().manual_seed(step))[:64]
        values = {
            text: training.step(features[rows], labels[rows])
            for text, training in trainings.items()
        }
        step += 1
        if mode == "until-killed" and step == SAVE_AT:
            parts = {
                text: {name: part.state_dict() for name, part in training.parts.items()}
                for text, training in trainings.items()
            }
            save({"step": step, "parts": parts}, folder / "checkpoint.pt")
    parts = {
        text: {"model": training.model.state_dict(), "loss": training.loss.state_dict()}
        for text, training in trainings.items()
    }
    save({"steps": step - first, "values": values, "parts": parts}, folder / f"{mode}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
