"""Certificates of random terms against brute force; `benchmarks/certificates.py` runs 10 000."""

from __future__ import annotations

import runpy
from pathlib import Path

BRUTE = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "certificates.py"))


def test_random_terms() -> None:
    found = BRUTE["run"](count=30, seed=1, checked=10)
    assert found["terms"] == 30
    assert found["WRONG"] == 0
    assert found["not confirmed"] == 0
    assert found["undecided"] < 0.02 * sum(found[v] for v in ("proved", "disproved"))


def test_brute_force_would_notice(monkeypatch) -> None:
    """Certificates of another term are wrong somewhere, property by property."""
    import taylored

    right = taylored.certify("truncated(3)").terms[0]
    wrong = taylored.certify("nll - 1.5 * power(1)").terms[0]
    term = taylored.terms.truncated(3)
    assert not list(BRUTE["contradictions"](term, "softmax", right))
    named = {text.split()[0] for text in BRUTE["contradictions"](term, "softmax", wrong)}
    assert {"never_rises", "decreasing", "bounded", "lipschitz"} <= named
