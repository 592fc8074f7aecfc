"""Certificates in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

TITLES = {
    "never_rises": "never rises with p",
    "decreasing": "falls strictly with p",
    "order_preserving": "order preserving, calibrated",
    "proper": "strictly proper",
    "bounded": "bounded",
    "symmetric": "symmetric: tolerant of uniform label noise",
    "gain": "largest gain",
    "lipschitz": "Lipschitz in the logits",
    "convex_in_margin": "convex in the margin",
}
"""What each property is called."""

_METHODS = {
    "coefficients": "no coefficient of its power series is negative",
    "sturm": "Sturm's theorem",
    "pieces": "interval arithmetic",
    "constant": "an identity",
    "mirrored": "an identity",
    "zero": "an identity",
}


def lines_of(certificate: Mapping[str, Any]) -> Iterator[str]:
    """The certificate, a line for each property."""
    yield f"{certificate['loss']}, {certificate['link']} link"
    for term in certificate["terms"]:
        applies = f"{term['applies']}: " if term["applies"] else ""
        yield f"{applies}{term['term']}"
        for title, verdict, said in rows_of(term, certificate["link"]):
            yield f"  {title:<43}{verdict:<10}{said}"


def rows_of(term: Mapping[str, Any], link: str) -> Iterator[tuple[str, str, str]]:
    """(title, verdict, what is known) of each property of a term."""
    for name, found in term["properties"].items():
        yield TITLES[name], _shown(name, found), said(name, found, link)


def _shown(name: str, found: Mapping[str, Any]) -> str:
    if found["verdict"] == "undecided":
        return "undecided"
    if name in ("gain", "lipschitz"):
        return "finite" if found["verdict"] == "proved" else "infinite"
    return "yes" if found["verdict"] == "proved" else "no"


def short(certificate: Mapping[str, Any]) -> Iterator[str]:
    """A line for each term: what it is, and what it is not."""
    for term in certificate["terms"]:
        rows = list(rows_of(term, certificate["link"]))
        groups: dict[str, list[str]] = {"yes": [], "no": [], "undecided": []}
        sizes = []
        for title, verdict, text in rows:
            if verdict in groups:
                groups[verdict].append(title.partition(":")[0])
            else:
                sizes.append(f"{title} {text.partition(',')[0]}" if verdict == "finite" else
                             f"{title}: no bound")  # fmt: skip
        parts = [f"{verdict}: {', '.join(titles)}" for verdict, titles in groups.items() if titles]
        applies = f"{term['applies']}: " if term["applies"] else ""
        yield applies + "; ".join([*parts, *sizes])


def said(name: str, found: Mapping[str, Any], link: str) -> str:
    """Why, or how much."""
    proof = found["proof"]
    kind = proof["kind"]
    if kind == "none":
        return str(proof["reason"])
    if kind == "bound":
        return _bound(name, proof, link)
    if kind == "example":
        return _example(proof)
    if kind == "different":
        (side, x), (other, y) = proof["at"]
        return f"its {proof['quantity']} at {side} = {x:.4g} is another than at {other} = {y:.4g}"
    if kind == "limit":
        return f"at most {proof['value'][1]:.5g} for p -> 0" if proof["value"][1] else ""
    if kind == "grows":
        return "like a power of -log p for p -> 0"
    return _METHODS[kind]


def _bound(name: str, proof: Mapping[str, Any], link: str) -> str:
    factor, norm = 1.0, ""
    if name == "lipschitz":
        factor, norm = (1.0, ", of the loss in its logit")
        if link == "softmax":
            factor, norm = 2.0**0.5, ", Euclidean norm"
    if proof["upper"] is None:
        return f"no bound for {proof['at'][0]} -> 0"
    low, high = factor * proof["lower"], factor * proof["upper"]
    return f"{_number(low, high)}{norm}"


def _number(low: float, high: float) -> str:
    for digits in range(7, 2, -1):
        if f"{low:.{digits}g}" == f"{high:.{digits}g}":
            return f"{high:.{digits}g}"
    return f"{low:.4g} to {high:.4g}"


def _example(proof: Mapping[str, Any]) -> str:
    quantity, (side, low, high, sign, *_) = proof["quantity"], proof["cell"]
    p = (low, high) if side == "p" else (1.0 - high, 1.0 - low)
    interval = f"for p from {p[0]:.4g} to {p[1]:.4g}"
    texts = {
        ("gain", "-"): "it rises",
        ("gain", "0"): "it is constant",
        ("curvature", "-"): "it is concave in p",
        ("curvature", "0"): "it is affine in p",
        ("margin_curvature", "-"): "it is concave",
    }
    if "where" not in proof:
        return f"{texts[quantity, sign]} {interval}"
    cells = convex_pieces(proof["where"])
    if not cells:
        return f"it is concave {interval}, and surely convex nowhere"
    listed = " and ".join(f"{low:.4g} to {high:.4g}" for low, high in cells[:3])
    more = " and more" if len(cells) > 3 else ""
    return f"it is concave {interval}, and convex from {listed}{more}"


def convex_pieces(proof: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Intervals of p on which the second derivative in the margin is confirmed to be >= 0."""
    pieces = []
    if proof["kind"] == "pieces":
        for side, low, high, sign, *_ in proof["cells"]:
            p = (low, high) if side == "p" else (1.0 - high, 1.0 - low)
            pieces.append((*p, sign))
    elif proof["kind"] == "sturm":
        cuts = [_value(x) ** proof["root"] for x in proof["cuts"]]
        for i, roots in enumerate(proof["roots"]):
            sign = "+" if proof["signs"][i] > 0 and proof["signs"][i + 1] > 0 and roots < 2 else "-"
            pieces.append((1.0 - cuts[i + 1], 1.0 - cuts[i], sign))
    merged: list[tuple[float, float]] = []
    for low, high, sign in sorted(pieces):
        if sign not in ("+", "+0", "0"):
            continue
        if merged and low - merged[-1][1] < 1e-12:
            merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def _value(text: str) -> float:
    numerator, _, denominator = text.partition("/")
    return int(numerator) / int(denominator or 1)
