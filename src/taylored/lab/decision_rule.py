"""What is done to the scores of a trained model before the largest decides, and how it is written.

In the results the adjustments of the baseline are losses of their own: "cross_entropy + tau 1".
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

_WRITTEN: Final = {"adjusted": " + tau ", "normalised": ", tau-normalised "}


@dataclass(frozen=True)
class DecisionRule:
    """How scores decide.

    `adjusted` subtracts `tau` times the logarithm of the training prior; `normalised` divides the
    weights of the last layer by their length to the power of `tau` and drops the biases.
    """

    kind: Literal["as it is", "adjusted", "normalised"]
    tau: float = 0.0

    def named(self, loss: str) -> str:
        """The name of a loss whose scores decide so.

        >>> DecisionRule("adjusted", 1.0).named("cross_entropy")
        'cross_entropy + tau 1'
        """
        return f"{loss}{_WRITTEN[self.kind]}{self.tau:g}" if self.kind in _WRITTEN else loss


def read_rule(name: str) -> tuple[str, DecisionRule]:
    """The loss, and the rule, of a name in the results.

    >>> read_rule("cross_entropy + tau 0.7")
    ('cross_entropy', DecisionRule(kind='adjusted', tau=0.7))
    >>> read_rule("focal(gamma=2)")
    ('focal(gamma=2)', DecisionRule(kind='as it is', tau=0.0))
    """
    for kind in ("adjusted", "normalised"):
        pattern = rf"(.+){re.escape(_WRITTEN[kind])}(\S+)"
        if match := re.fullmatch(pattern, name, re.DOTALL):
            return match[1], DecisionRule(kind, float(match[2]))
    return name, DecisionRule("as it is")
