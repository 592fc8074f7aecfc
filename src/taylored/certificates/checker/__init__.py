"""A program that re-checks certificates, and shares no code with the one that finds them.

It reads the term from its text, computes with intervals of 80 bits and directed rounding
(`mpmath`) and with exact fractions, and follows every step that a certificate writes down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taylored.certificates.checker.rules import RULES
from taylored.certificates.checker.signs import Json, demand
from taylored.certificates.checker.terms import Node, read


def faults(certificate: Mapping[str, Any]) -> list[str]:
    """What is wrong with a certificate, given as `Certificate.to_dict()`; empty if nothing is."""
    found: list[str] = []
    link, terms = certificate.get("link"), certificate.get("terms")
    if link not in ("softmax", "sigmoid") or not isinstance(terms, list) or not terms:
        return ["it is no certificate: it needs a link and at least one term"]
    for entry in terms:
        label = str(entry.get("term"))[:80] if isinstance(entry, Mapping) else "?"
        try:
            node = read(entry["term"])
            opposite = read(entry["opposite"]) if link == "sigmoid" else None
            verdicts = {name: each["verdict"] for name, each in entry["properties"].items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            found.append(f"{label}: {error}")
            continue
        for name, each in entry["properties"].items():
            try:
                _follow(name, each["verdict"], each["proof"], node, opposite, verdicts)
            # Whatever a proof makes the checker stumble over, it is not confirmed.
            except (LookupError, TypeError, ValueError, ArithmeticError, AssertionError) as error:
                found.append(f"{label}: {name} is not {each.get('verdict')}: {error}")
    return found


def _follow(
    name: str, verdict: str, proof: Json, node: Node, opposite: Node | None,
    verdicts: Mapping[str, str],
) -> None:  # fmt: skip
    rule = RULES.get((name, verdict))
    if verdict == "undecided" and any(known == name for known, _ in RULES):
        return
    demand(rule is not None, "no property and verdict of these names is known")
    if name in ("order_preserving", "proper") and verdict == "proved":
        demand(verdicts.get("decreasing") == "proved", "it rests on decreasing, which is not")
    rule(node, opposite, proof)  # type: ignore[misc]
