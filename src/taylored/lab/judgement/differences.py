"""Paired differences between losses, with p-values corrected for the number of losses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from taylored.lab.judgement.describe import Described, Measures
from taylored.lab.measures import Measured
from taylored.lab.metrics import Metric
from taylored.lab.results import Difference, LossResult
from taylored.lab.statistics.estimate import Estimate
from taylored.lab.statistics.multiplicity import holm, level_of
from taylored.lab.statistics.paired import compare_measured, of_trainings
from taylored.lab.tasks import Task

WORTH_SEEING = 0.03
"""The difference for which a run says how many repeats would show it: 3 points."""


@dataclass(frozen=True)
class Comparing:
    """How losses are compared.

    Args:
        task: the metrics, and which of them are judged beside the primary one.
        primary: the metric of the verdict.
        looks: how often the run is looked at; more make the limits stricter.
        candidates: how many losses are compared, which p-values are corrected for.
    """

    task: Task
    primary: Metric
    looks: int
    candidates: int

    @property
    def level(self) -> float:
        """A corrected p-value below this is called a difference."""
        return level_of(self.looks)

    def against(
        self, baseline: Described, reference: Described, losses: Sequence[Described]
    ) -> list[LossResult]:
        """The losses with their differences to the baseline, and to the best free reference."""
        plain = self._differences(baseline, losses)
        free = {} if reference is baseline else self._differences(reference, losses)
        return [
            replace(
                loss.result,
                versus_baseline=plain.get(loss.result.name),
                versus_free=free.get(loss.result.name) if loss.result.role == "candidate" else None,
            )
            for loss in losses
        ]

    def difference(self, mine: Measures, other: Measures, key: str) -> Difference:
        """The difference in one metric, not corrected yet."""
        if key not in mine or key not in other:
            return Difference(None)
        return self.between(mine[key], other[key], self.task.metrics[key].direction)

    def between(self, mine: Measured, other: Measured, direction: int) -> Difference:
        """The difference of two measured metrics, not corrected yet."""
        found = _paired(mine, other, direction)
        if found is None:
            return Difference(_plain(mine, other))
        alpha = self.level / max(self.candidates, 1)
        visible = found.smallest_visible(alpha, found.repeats)
        next_one = found.smallest_visible(alpha, found.repeats + 1)
        return Difference(
            difference=found.difference,
            low=found.low,
            high=found.high,
            p=found.p,
            probability_better=found.probability_better,
            within=found.within,
            standard_error=found.standard_error,
            examples=found.se_examples,
            trainings=found.se_trainings,
            smallest=visible,
            repeats=found.repeats_to_decide(WORTH_SEEING, alpha),
            more_would_decide=next_one is not None and abs(found.difference) >= next_one,
            identical=found.identical,
        )

    def _differences(
        self, reference: Described, losses: Sequence[Described]
    ) -> dict[str, dict[str, Difference]]:
        """The differences to a reference by loss and metric, corrected.

        Holm's correction runs over the candidates in the metric of the verdict. A second family
        holds all candidates in all other metrics that the task describes. The free references are
        no candidates; their p-values stay as they are.
        """
        others = [each for each in losses if each is not reference and _role(each) != "baseline"]
        found = {
            each.result.name: {
                key: self.difference(each.measures, reference.measures, key)
                for key in self.task.metrics
            }
            for each in others
        }
        candidates = [each.result.name for each in others if _role(each) == "candidate"]
        rest = [key for key in self.task.described if key != self.primary.key]
        self._correct(found, [(name, self.primary.key) for name in candidates])
        self._correct(found, [(name, key) for name in candidates for key in rest])
        return found

    def corrected(self, family: Sequence[Difference]) -> list[Difference]:
        """The differences with p-values that hold for all of them at once."""
        known = [index for index, found in enumerate(family) if found.p is not None]
        values = holm([p for found in family if (p := found.p) is not None])
        told = list(family)
        for index, p in zip(known, values, strict=True):
            told[index] = replace(told[index], p_corrected=p, beyond_noise=p < self.level)
        return told

    def _correct(
        self, found: dict[str, dict[str, Difference]], family: Sequence[tuple[str, str]]
    ) -> None:
        told = self.corrected([found[name][key] for name, key in family])
        for (name, key), difference in zip(family, told, strict=True):
            found[name][key] = difference


def level_with_best(
    winners: Sequence[LossResult], losses: Sequence[Described], comparing: Comparing
) -> tuple[str, ...]:
    """Names of the winners that cannot be told apart from the first, which is included.

    Which loss comes out on top is itself chosen by the noise. Therefore all pairs of winners form
    the family of the correction, not only the pairs with the apparent best.
    """
    measures = {each.result.name: each.measures for each in losses}
    names, key = [loss.name for loss in winners], comparing.primary.key
    tested = {
        (mine, other): comparing.difference(measures[mine], measures[other], key).p
        for mine, other in combinations(names, 2)
    }
    known = {pair: p for pair, p in tested.items() if p is not None}
    corrected = dict(zip(known, holm(list(known.values())), strict=True))
    return tuple(name for name in names if corrected.get((names[0], name), 1.0) >= comparing.level)


def _role(each: Described) -> str:
    return each.result.role


def _paired(mine: Measured, other: Measured, direction: int) -> Estimate | None:
    """The two metrics compared over the repeats that both losses have."""
    if mine.rows is None and other.rows is None:
        # One number per training, which only a given split has.
        found = mine.by_fold - other.by_fold
        return of_trainings(found, direction) if found.shape[1] == 1 else None
    repeats = min(len(mine.by_fold), len(other.by_fold))
    return compare_measured(_first(mine, repeats), _first(other, repeats), direction)


def _first(measured: Measured, repeats: int) -> Measured:
    if len(measured.by_fold) == repeats or measured.rows is None:
        return measured
    rows = replace(measured.rows, pseudo=measured.rows.pseudo[:repeats])
    return replace(measured, by_fold=measured.by_fold[:repeats], rows=rows)


def _plain(mine: Measured, other: Measured) -> float | None:
    """The difference of two numbers that are never tested."""
    return None if mine.value is None or other.value is None else mine.value - other.value
