"""Examine losses of other libraries and write the findings into docs/doctor.md.

python docs/doctor_peers.py

It needs torchvision, kornia, monai, segmentation-models-pytorch, timm and torch-uncertainty. Every
snippet is run, and what it prints stands below it.
"""

import contextlib
import io
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

from taylored.doctor import CHECKS, Finding, examine

PAGE = Path(__file__).parent / "doctor.md"
BEGIN, END = "<!-- peers: begin -->\n", "<!-- peers: end -->"
PACKAGES = {
    "torchvision": "torchvision",
    "kornia": "kornia",
    "monai": "monai",
    "segmentation_models_pytorch": "segmentation-models-pytorch",
    "timm": "timm",
    "torch_uncertainty": "torch-uncertainty",
}
SMP = "segmentation_models_pytorch.losses:"
SHOWN: list[tuple[str, str, tuple[str, ...]]] = [
    ("torchvision.ops:sigmoid_focal_loss", "rows", ("recognised",)),
    (
        "kornia.losses:FocalLoss(alpha=0.25, reduction='mean')",
        "rows",
        ("ignored-in-denominator", "class-is-special", "mean-over-classes"),
    ),
    (
        "kornia.losses:BinaryFocalLossWithLogits(alpha=0.25, reduction='mean')",
        "rows",
        ("ignored-in-denominator", "nan-at-ignored"),
    ),
    ("kornia.losses:DiceLoss", "maps", ("ignoring-is-not-dropping", "recognised")),
    ("monai.losses:FocalLoss", "rows", ("reduction-ignored", "nan-at-ignored")),
    ("monai.losses:FocalLoss", "maps", ("sum-is-no-sum",)),
    (
        "monai.losses:DiceLoss(sigmoid=True)",
        "maps",
        ("overflows-in-half", "ignored-in-denominator", "nan-at-ignored"),
    ),
    (
        f"{SMP}FocalLoss('multiclass')",
        "rows",
        ("recognised", "reduction-ignored", "all-ignored-nan", "accepts-any-reduction",
         "accepts-wrong-classes"),
    ),
    (f"{SMP}FocalLoss('multilabel')", "rows", ("ignore-index-fails",)),
    (f"{SMP}SoftCrossEntropyLoss(smooth_factor=0.0)", "rows", ("ignored-in-denominator",)),
    (f"{SMP}SoftBCEWithLogitsLoss", "rows", ("ignored-in-denominator", "nan-at-ignored")),
    (f"{SMP}DiceLoss('multiclass')", "maps", ("nan-at-ignored", "recognised")),
    (f"{SMP}LovaszLoss('multiclass')", "maps", ("no-half", "accepts-wrong-classes")),
    (f"{SMP}MCCLoss", "maps", ("takes-probabilities",)),
    ("timm.loss:SoftTargetCrossEntropy", "rows", ("target-dtype-matters",)),
    ("timm.loss:AsymmetricLossMultiLabel", "rows", ("stops-pushing",)),
    ("timm.loss:AsymmetricLossSingleLabel", "rows", ("keeps-last-batch",)),
    ("timm.loss:JsdCrossEntropy(num_splits=3)", "rows", ("hooks-never-run",)),
    (
        "torch_uncertainty.losses:CrossEntropyMaxSupLoss(max_sup=0.1)",
        "rows",
        ("samples-coupled", "weight-changes-shape"),
    ),
]  # fmt: skip
CHECK_OF = {name: check.name for check in reversed(CHECKS) for name in check.diagnoses}


def findings() -> list[tuple[str, Finding]]:
    found = []
    for target, layout, names in SHOWN:
        checks = tuple({CHECK_OF[name]: None for name in names})
        report = examine(target, layout=layout, checks=checks, time_limit=None)  # type: ignore[arg-type]
        known = {each.name: each for each in report.findings}
        for name in names:
            if name not in known:
                sys.exit(f"{target} has no finding {name} any more:\n{report}")
            found.append((target, known[name]))
    return found


def printed(snippet: str) -> str:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(snippet, "snippet", "exec"), {})
        except Exception as error:
            out.write(f"{type(error).__name__}: {str(error).splitlines()[0][:90]}\n")
    lines = out.getvalue().rstrip().splitlines()
    return "\n".join(f"# {line}"[:140].rstrip() for line in lines[:12])


def package(target: str) -> str:
    name = PACKAGES[target.split(".")[0]]
    return f"{name} {version(name)}"


def section() -> str:
    rows = ["| library | loss | finding | what it is |", "| --- | --- | --- | --- |"]
    shown = []
    for number, (target, each) in enumerate(findings(), 1):
        loss = target.split(":")[1]
        kind = f"{each.severity}: [`{each.name}`](#{number})"
        rows.append(f"| {package(target)} | `{loss}` | {kind} | {each.title} |")
        shown.append(
            f'<a id="{number}"></a>**{number}. {package(target)}, `{loss}`: `{each.name}`**\n\n'
            f"```python\n{each.snippet}\n{printed(each.snippet)}\n```"
        )
    return "\n".join(rows) + "\n\n" + "\n\n".join(shown)


def main() -> None:
    before, rest = PAGE.read_text().split(BEGIN)
    after = rest.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{section()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
