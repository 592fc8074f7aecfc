"""Certificates of random terms against brute force: `python benchmarks/certificates.py`.

Every property of every term is compared with what a dense grid of probabilities shows. A grid in
float64 only suggests where a certificate may be wrong; mpmath with 60 digits decides. The proofs
are followed by the independent checker as well (a share of them, because it is slower). At the end
it says how long the certificates of all examples of the catalogue take.
"""

from __future__ import annotations

import argparse
import collections
import random
import time
from collections.abc import Callable, Iterator

import mpmath
import torch
from mpmath import mpf

from taylored import Term, catalog, terms
from taylored.certificates import certify
from taylored.certificates.certificate import Certificate, TermCertificate
from taylored.certificates.certify import certificate_of
from taylored.certificates.checker import faults
from taylored.core.terms.point import Point
from taylored.core.terms.shifted import Shifted
from taylored.core.terms.summands import settled
from taylored.core.terms.term import Constant, Product, Scaled, Sum
from taylored.modules.classification import ClassificationLoss

mpmath.mp.dps = 60
NOISE = mpf(10) ** -30
"""Below it a number with 60 digits is what is left of larger ones that cancel."""

MARGINS = torch.cat([torch.linspace(-14, 14, 2001), torch.linspace(-45, 40, 341)]).double()
MARGINS = MARGINS.sort().values


def random_leaf(draw: random.Random) -> Term:
    """One of the elementary terms, with plain and with awkward numbers."""
    number = draw.choice(
        [0.1, 0.3, 0.5, 0.7, 0.9, 1.0, 1.5, 2.0, 3.0, round(draw.uniform(0, 4), 3)]
    )
    kinds: list[Callable[[], Term]] = [
        lambda: terms.nll,
        lambda: terms.nll,
        lambda: terms.power(number),
        lambda: terms.power(draw.choice([1, 2, 3])),
        lambda: terms.truncated(draw.choice([1, 2, 3, 5, 20, 60, 300])),
        lambda: terms.series([round(draw.uniform(-1, 2), 2) for _ in range(draw.randint(1, 4))]),
        lambda: terms.constant(round(draw.uniform(-1, 2), 2)),
        lambda: terms.box_cox(number),
        lambda: terms.jensen_shannon(draw.choice([0.05, 0.3, 0.5, 0.9])),
        lambda: terms.clipped_focal(draw.choice([0.5, 1, 2, 4]), draw.choice([0.05, 0.2])),
    ]
    return draw.choice(kinds)()


def random_term(draw: random.Random, depth: int) -> Term:
    """An expression of at most this depth."""
    if depth == 0 or draw.random() < 0.2:
        return random_leaf(draw)
    left = random_term(draw, depth - 1)
    kind = draw.random()
    if kind < 0.2:
        return draw.choice([-1.0, 0.1, 0.5, 2.0, round(draw.uniform(-2, 3), 2)]) * left
    if kind < 0.26:
        return terms.shifted(left, draw.choice([0.5, 1.0, -0.7]))
    right = random_term(draw, depth - 1)
    if kind < 0.6:
        return left + right
    return left - right if kind < 0.78 else left * right


def value(term: Term, p: mpf, q: mpf) -> mpf:
    """phi with 60 digits, from the definitions."""
    name = type(term).__name__
    if name == "NegativeLogLikelihood":
        return -mpmath.log(p) if p < 0.5 else -mpmath.log1p(-q)
    if name == "Power":
        return q ** mpf(repr(term.exponent))
    if name == "Truncated":
        return mpmath.fsum(q**j / j for j in range(1, term.count + 1))
    if name == "Polynomial":
        return mpmath.fsum(mpf(repr(a)) * q**j for j, a in enumerate(term.coefficients, 1))
    if name == "BoxCox":
        a = mpf(repr(term.exponent))
        return (1 - p**a) / a if a else -mpmath.log(p)
    if name == "JensenShannon":
        pi = mpf(repr(term.pi))
        c = 1 - pi
        m = pi + c * p
        return q + (c * p * mpmath.log(p) - m * mpmath.log(m)) / (-c * mpmath.log(c))
    if name == "ClippedFocal":
        u = q - mpf(repr(term.margin))
        return u ** mpf(repr(term.gamma)) * -mpmath.log(1 - u) if u > 0 else mpf(0)
    if isinstance(term, Constant):
        return mpf(repr(term.number))
    if isinstance(term, Scaled):
        return mpf(repr(term.factor)) * value(term.term, p, q)
    if isinstance(term, Sum):
        return value(term.left, p, q) + value(term.right, p, q)
    if isinstance(term, Product):
        return value(term.left, p, q) * value(term.right, p, q)
    e = mpmath.exp(mpf(repr(term.margin)))
    return value(term.term, p / (p + q * e), q * e / (p + q * e))


def pull(term: Term, x: float) -> mpf:
    """q g at a margin, by differences of the value."""

    def at(margin: mpf) -> mpf:
        return value(term, 1 / (1 + mpmath.exp(-margin)), 1 / (1 + mpmath.exp(margin)))

    return -mpmath.diff(at, mpf(x), h=mpf(10) ** -20)


def margin_of(side: str, x: float) -> float:
    """The margin where p, or q, is x."""
    odds = mpf(x) / (1 - mpf(x))
    return float(mpmath.log(odds if side == "p" else 1 / odds))


QUANTITY: dict[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "gain": lambda h, _p, q: h / q,
    "slope": lambda h, p, q: h / q / p,
    "pull": lambda h, _p, _q: h,
}


def exactly(term: Term, quantity: str, x: float) -> mpf:
    """The quantity at a margin, with as many digits as the smaller of p and q has zeros, and 60."""
    with mpmath.workdps(60 + int(abs(x))):
        p, q = 1 / (1 + mpmath.exp(-mpf(x))), 1 / (1 + mpmath.exp(mpf(x)))
        h = pull(term, x)
        return {"gain": h / q, "slope": h / q / p, "pull": h}[quantity]


def grid(term: Term) -> dict[str, torch.Tensor]:
    """All quantities on the grid."""
    h = settled(term).evaluate_with_slope(Point(MARGINS))[1]
    p, q = torch.sigmoid(MARGINS), torch.sigmoid(-MARGINS)
    return {name: rule(h, p, q) for name, rule in QUANTITY.items()}


def negative_somewhere(term: Term, found: torch.Tensor) -> bool:
    """Whether the gain is below 0 on the grid: where float64 thinks so, asked once more."""
    worst = int(found.argmin())
    return bool(found[worst] < 0) and exactly(term, "gain", MARGINS[worst].item()) < -(
        mpf(10) ** -15
    )


def moves(term: Term, quantity: str, found: torch.Tensor, sign: int) -> bool:
    """Whether a quantity moves in a direction between neighbours on the grid."""
    steps = sign * found.diff() / (found[1:].abs() + found[:-1].abs()).clamp_min(1e-290)
    worst = int(steps.argmax())
    if not steps[worst] > 0:
        return False
    a, b = (exactly(term, quantity, MARGINS[worst + k].item()) for k in (0, 1))
    return sign * (b - a) > (abs(a) + abs(b)) * mpf(10) ** -15 + NOISE


def apart(term: Term, quantity: str, found: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether a quantity on the grid and another there differ: where float64 thinks most so."""
    worst = int((found - other).abs().argmax())
    if not (found - other)[worst].abs() > 1e-6 * found.abs().max():
        return False
    return max(abs(exactly(term, quantity, MARGINS[k].item())) for k in (worst, 1000)) > NOISE


def ends_of(cell: list[object]) -> tuple[float, float]:
    """Margins of the ends of an interval, from low p to high p."""
    side, low, high = str(cell[0]), float(cell[1]), float(cell[2])  # type: ignore[arg-type]
    a, b = margin_of(side, low), margin_of(side, high)
    return min(a, b), max(a, b)


def example_holds(term: Term, proof: dict) -> bool:
    """Whether a counter-example is one."""
    if proof["kind"] != "example":
        (side, x), (other, y) = proof["at"]
        a = exactly(term, proof["quantity"], margin_of(side, x))
        b = exactly(term, proof["quantity"], margin_of(other, y))
        return abs(a - b) > 0
    (low, high), sign = ends_of(proof["cell"]), proof["cell"][3]
    if proof["quantity"] == "gain":
        size = exactly(term, "gain", 0.5 * (low + high))
        return size < 0 if sign == "-" else abs(size) < mpf(10) ** -18
    name = "slope" if proof["quantity"] == "curvature" else "pull"
    a, b = exactly(term, name, low), exactly(term, name, high)
    return b > a if sign == "-" else abs(b - a) <= mpf(10) ** -15 * abs(a)


def contradictions(term: Term, link: str, certificate: TermCertificate) -> Iterator[str]:
    """Properties of which the grid shows something else."""
    on_grid = grid(term)
    for each in certificate.properties:
        name, proof = each.name, each.proof
        if each.verdict == "undecided":
            continue
        proved = each.verdict == "proved"
        wrong = False
        if name == "bounded":
            far, near = (value(term, mpf(10) ** -k, 1 - mpf(10) ** -k) for k in (10**7, 10**6))
            wrong = proved != (abs(far - near) < 1)
        elif name in ("gain", "lipschitz"):
            quantity = "gain" if name == "gain" else "pull"
            if proved:
                worst = MARGINS[int(on_grid[quantity].abs().argmax())].item()
                largest = abs(exactly(term, quantity, worst))
                reached = abs(exactly(term, quantity, at(proof["at"], term, name)))
                above = largest > proof["upper"] * (1 + 1e-9) + NOISE
                wrong = above or reached < proof["lower"] * (1 - 1e-9)
            else:
                side = proof["at"][0]
                with mpmath.workdps(400):  # next to a constant, q^0.9 has its digits late
                    places = [margin_of(side, 10.0**-k) for k in (40, 200)]
                    sizes = [abs(exactly(term, quantity, x)) for x in places]
                wrong = not sizes[1] > sizes[0] * (1 + mpf(10) ** -6)
        elif not proved and name != "convex_in_margin":
            wrong = not example_holds(term, proof)
        elif name in ("never_rises", "decreasing"):
            wrong = negative_somewhere(term, on_grid["gain"])
        elif name == "order_preserving":
            wrong = moves(term, "slope", on_grid["slope"], 1)
        elif name == "convex_in_margin":
            wrong = moves(term, "pull", on_grid["pull"], 1) != (not proved) and (
                proved or not example_holds(unmoved(term), proof)
            )
        elif link == "softmax":
            quantity = "gain" if name == "proper" else "slope"
            found = on_grid[quantity]
            wrong = apart(term, quantity, found, found[1000].expand_as(found))
        else:
            quantity = "gain" if name == "proper" else "slope"
            wrong = apart(term, quantity, on_grid[quantity], mirrored(term, quantity))
        if wrong:
            yield f"{name} is {each.verdict}, by {proof['kind']}"


def at(place: list[object], term: Term, name: str) -> float:
    """Margin of the place where a largest value is reached, before what is shifted as a whole."""
    x = margin_of(str(place[0]), float(place[1]))  # type: ignore[arg-type]
    return x + (shift_of(term) if name == "lipschitz" else 0.0)


def without_factors(term: Term) -> tuple[float, Term]:
    """The product of the constants on the left of a term, and the term without them."""
    if isinstance(term, Scaled):
        factor, inner = without_factors(term.term)
        return term.factor * factor, inner
    if isinstance(term, Product):
        left = term.left
        while isinstance(left, Shifted):
            left = left.term
        if isinstance(left, Constant):
            factor, inner = without_factors(term.right)
            return left.number * factor, inner
    return 1.0, term


def shift_of(term: Term) -> float:
    """How far a term is shifted as a whole."""
    _, inner = without_factors(term)
    return float(inner.margin) + shift_of(inner.term) if isinstance(inner, Shifted) else 0.0


def unmoved(term: Term) -> Term:
    """The term without shifts as a whole."""
    factor, inner = without_factors(term)
    return Scaled(factor, unmoved(inner.term)) if isinstance(inner, Shifted) else term


def mirrored(term: Term, quantity: str) -> torch.Tensor:
    """The quantity at the complement of every probability of the grid."""
    h = settled(term).evaluate_with_slope(Point(-MARGINS))[1]
    p, q = torch.sigmoid(-MARGINS), torch.sigmoid(MARGINS)
    return QUANTITY[quantity](h, p, q)


def run(count: int, seed: int, checked: int, start: int = 0) -> collections.Counter[str]:
    """Certify random terms; returns how often what was found."""
    found: collections.Counter[str] = collections.Counter()
    for index in range(start, start + count):
        draw = random.Random(f"{seed}:{index}")  # noqa: S311
        term = random_term(draw, draw.randint(1, 3))
        link = draw.choice(["softmax", "sigmoid"])
        certificate: Certificate = certificate_of(term, None, link)  # type: ignore[arg-type]
        found["terms"] += 1
        for each in certificate.terms[0].properties:
            found[each.verdict] += 1
            if each.verdict == "undecided":
                found[f"undecided {each.name}"] += 1
                print(f"{index}: {term!r} ({link}): {each.name}: {each.proof['reason']}")
        for fault in contradictions(term, link, certificate.terms[0]):
            found["WRONG"] += 1
            print(f"{index}: WRONG {term!r} ({link}): {fault}", flush=True)
        if checked and index % checked == 0:
            found["checked"] += 1
            for fault in faults(certificate.to_dict()):
                found["not confirmed"] += 1
                print(f"{index}: NOT CONFIRMED {fault}", flush=True)
    return found


def seconds_of_the_catalogue() -> float:
    """How long the certificates of all examples take together."""
    losses = [
        catalog.get(text, counts=[900, 250, 40, 7, 1])
        for spec in catalog.SPECS.values()
        if issubclass(spec.module, ClassificationLoss)
        for text in spec.examples
    ]
    certify._properties.cache_clear()
    began = time.process_time()
    for loss in losses:
        if loss.outcomes() is not None:
            loss.certificate()
    return time.process_time() - began


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--terms", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--check-every", type=int, default=10)
    given = parser.parse_args()
    began = time.time()
    for name, count in sorted(run(given.terms, given.seed, given.check_every, given.start).items()):
        print(f"{name:<32}{count}")
    print(f"{time.time() - began:.0f} s")
    print(f"certificates of the catalogue: {seconds_of_the_catalogue():.1f} s of one core")
