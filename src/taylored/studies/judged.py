"""From evidence to a verdict: a claim held here, did not hold, or could not be seen."""

from collections.abc import Mapping, Sequence

from taylored.lab.statistics.multiplicity import SIGNIFICANCE
from taylored.lab.wording import join
from taylored.studies.declared import Conclusion, Evidence
from taylored.studies.ground import effect_of
from taylored.studies.records import Claim, Effect, Finding, Quantity, Word


def judge(conclusions: Mapping[str, Conclusion]) -> tuple[tuple[Finding, ...], float]:
    """The findings by data set and claim, and the level of significance of each.

    All findings of a study share 5 % of error: each is judged at 5 % over their number
    (Bonferroni), which is also the level at which its power is told.
    """
    count = sum(len(found.evidence) for found in conclusions.values())
    level = SIGNIFICANCE / max(count, 1)
    findings = (
        _finding(each, data, level)
        for data, found in conclusions.items()
        for each in found.evidence
    )
    return tuple(findings), level


def verdict_of(evidence: Evidence, level: float) -> tuple[Word, str]:
    """The verdict on a claim, and why.

    A claim of "more" holds if the effect is beyond noise, and does not hold if it is beyond noise
    the other way, or surely smaller than the margin. A claim of "no more" holds if the effect is
    surely smaller than the margin, and does not hold if it is beyond noise.
    """
    found, quantity = evidence.estimate, evidence.quantity
    if found is None:
        return "could not be seen", evidence.missing
    if found.identical:
        word: Word = "held" if evidence.expected == "no more" else "did not hold"
        return word, "no difference on any row"
    half, p = found.half_width(1 - 2 * level), found.p
    if found.example_variance == 0 and found.training_variance == 0:
        half, p = 0.0, 0.0  # every training gave the same number
    if half is None or p is None:
        return "could not be seen", "no interval"
    small = f"surely below {_with_unit(quantity.value(evidence.margin), quantity)}"
    beyond, is_small = p < level, found.difference + half <= evidence.margin
    if evidence.expected == "no more":
        if is_small:
            return "held", small
        if beyond and found.difference > 0:
            return "did not hold", "beyond noise"
        return "could not be seen", f"neither {small} nor beyond noise"
    if beyond:
        if found.difference > 0:
            return "held", "beyond noise"
        return "did not hold", "beyond noise the other way"
    if is_small:
        return "did not hold", small
    return "could not be seen", f"neither beyond noise nor {small}"


def headline_of(claims: Sequence[Claim], findings: Sequence[Finding]) -> str:
    """What became of each claim, in one line."""
    parts = []
    for claim in claims:
        of_claim = [each for each in findings if each.claim == claim.key]
        words = {each.word for each in of_claim}
        if not of_claim:
            continue
        if len(words) == 1:
            parts.append(f"{claim.short}: {of_claim[0].word}")
            continue
        told = []
        for word in ("held", "did not hold", "could not be seen"):
            where = [each for each in of_claim if each.word == word]
            names = list(dict.fromkeys(each.data for each in where))
            whole = all(each.word == word for each in of_claim if each.data in names)
            if where:
                count = "" if whole else f"{len(where)} of {len(of_claim)}, "
                told.append(f"{word} ({count}{join(names)})")
        parts.append(f"{claim.short}: {', '.join(told)}")
    return "; ".join(parts) + "."


def _finding(evidence: Evidence, data: str, level: float) -> Finding:
    effect = effect_of(evidence.estimate, level)
    word, why = verdict_of(evidence, level)
    return Finding(
        claim=evidence.claim,
        data=data,
        what=evidence.what,
        quantity=evidence.quantity,
        effect=effect,
        expected=evidence.expected,
        word=word,
        sentence=f"{evidence.what}: {_found(evidence.quantity, effect)}{why}, so it {word}.",
    )


def _found(quantity: Quantity, effect: Effect | None) -> str:
    """The effect, and what would have been seen, in front of a reason."""
    if effect is None:
        return ""
    told = _with_unit(quantity.signed(effect.value), quantity)
    if effect.low is None or effect.high is None:
        return f"{told}; "
    told += f" [{quantity.signed(effect.low)}, {quantity.signed(effect.high)}]"
    if effect.smallest is None:
        return f"{told}; "
    return f"{told}, {_with_unit(quantity.value(effect.smallest), quantity)} could be seen; "


def _with_unit(text: str, quantity: Quantity) -> str:
    return f"{text} {quantity.unit}" if quantity.unit else text
