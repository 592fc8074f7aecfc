"""Compare losses on your own long-tailed data: every row is tested, and the verdict is honest."""

from typing import TYPE_CHECKING

from taylored.core.first_use import on_first_use

if TYPE_CHECKING:
    from taylored.lab.comparison import compare as compare
    from taylored.lab.continuation import join as join
    from taylored.lab.continuation import resume as resume
    from taylored.lab.data.reading import Reading as Reading
    from taylored.lab.model.file import load_model as load_model
    from taylored.lab.model.saved import SavedModel as SavedModel
    from taylored.lab.outcome import Comparison as Comparison
    from taylored.lab.scores.judge_scores import verdict as verdict
    from taylored.lab.scores.result import Judgement as Judgement

__all__ = [
    "Comparison",
    "Judgement",
    "Reading",
    "SavedModel",
    "compare",
    "join",
    "load_model",
    "resume",
    "verdict",
]

# Loaded on first use: the lab needs packages that the losses do not.
_HOME = {
    "compare": "taylored.lab.comparison",
    "join": "taylored.lab.continuation",
    "resume": "taylored.lab.continuation",
    "load_model": "taylored.lab.model.file",
    "SavedModel": "taylored.lab.model.saved",
    "verdict": "taylored.lab.scores.judge_scores",
    "Comparison": "taylored.lab.outcome",
    "Judgement": "taylored.lab.scores.result",
    "Reading": "taylored.lab.data.reading",
}
__getattr__ = on_first_use(__name__, _HOME, extra="lab")


def __dir__() -> list[str]:
    return __all__
