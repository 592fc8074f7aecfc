"""The checker confirms what is proved, and refuses what somebody made of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

import taylored
from taylored.certificates.certificate import CertificateError, check
from taylored.certificates.checker import faults

Proof = dict[str, Any]


def certificate(text: str, link: str | None = None) -> Proof:
    return json.loads(taylored.certify(text, link=link).to_json())


def proof_of(given: Proof, name: str) -> Proof:
    return given["terms"][0]["properties"][name]["proof"]


def drop_a_piece(given: Proof) -> None:
    cells = proof_of(given, "never_rises")["cells"]
    cells.pop(len(cells) // 2)


def swap_a_sign(given: Proof) -> None:
    proof_of(given, "convex_in_margin")["where"]["cells"][0][3] = "+"


def move_an_enclosure(given: Proof) -> None:
    cell = proof_of(given, "never_rises")["cells"][1]
    cell[4], cell[5] = cell[5] + 1.0, cell[5] + 2.0


def longer_end(given: Proof) -> None:
    cells = proof_of(given, "convex_in_margin")["where"]["cells"]
    cells[0][2] = 0.5


def other_chain(given: Proof) -> None:
    chain = proof_of(given, "decreasing")["chain"]
    chain[1][0] = str(int(chain[1][0]) + 1)


def other_polynomial(given: Proof) -> None:
    proof = proof_of(given, "decreasing")
    proof["polynomial"][0] = proof["chain"][0][0] = str(int(proof["polynomial"][0]) + 1)


def other_cuts(given: Proof) -> None:
    proof_of(given, "decreasing")["cuts"][-1] = "1/2"


def hidden_root(given: Proof) -> None:
    proof = proof_of(given, "never_rises")
    proof.update(quantity="gain", roots=[0], cuts=["0", "1"], signs=[1, 1])


def other_coefficient(given: Proof) -> None:
    proof_of(given, "decreasing")["lowest"][0][1] = "2"


def smaller_bound(given: Proof) -> None:
    proof = proof_of(given, "gain")
    proof["upper"] *= 0.99
    proof["lower"] *= 0.98


def larger_value(given: Proof) -> None:
    proof = proof_of(given, "lipschitz")
    proof["lower"] = proof["upper"] = 1.01 * proof["upper"]


def bound_on_a_part(given: Proof) -> None:
    boxes = proof_of(given, "gain")["boxes"]
    boxes.remove(max(boxes, key=lambda box: box[2] - box[1]))


def other_example(given: Proof) -> None:
    proof_of(given, "convex_in_margin")["cell"][:3] = ["q", 0.1, 0.2]


def same_values(given: Proof) -> None:
    at = proof_of(given, "proper")["at"]
    at[1] = at[0]


def said_constant(given: Proof) -> None:
    found = given["terms"][0]["properties"]["proper"]
    found.update(verdict="proved", proof={"kind": "constant", "quantity": "gain"})


def said_mirrored(given: Proof) -> None:
    found = given["terms"][0]["properties"]["symmetric"]
    found.update(verdict="proved", proof={"kind": "mirrored", "quantity": "slope"})


def said_bounded(given: Proof) -> None:
    found = given["terms"][0]["properties"]["bounded"]
    found.update(verdict="proved", proof={"kind": "limit", "value": [0.0, 9.0], "reach": 0.25})


def turned(name: str) -> Callable[[Proof], None]:
    def turn(given: Proof) -> None:
        found = given["terms"][0]["properties"][name]
        found["verdict"] = "proved" if found["verdict"] == "disproved" else "disproved"

    return turn


def other_term(text: str) -> Callable[[Proof], None]:
    def put(given: Proof) -> None:
        given["terms"][0]["term"] = text

    return put


def other_link(given: Proof) -> None:
    given["link"], given["terms"][0]["opposite"] = "softmax", None


INTERVALS, FOCAL, STURM = "shifted(power(2) * nll, 1)", "power(2) * nll", "series([1, -0.45])"
PLANTED = [
    (INTERVALS, None, drop_a_piece),
    (INTERVALS, None, swap_a_sign),
    (INTERVALS, None, move_an_enclosure),
    (FOCAL, None, longer_end),
    (FOCAL, None, other_coefficient),
    (FOCAL, None, smaller_bound),
    (FOCAL, None, larger_value),
    (FOCAL, None, bound_on_a_part),
    (FOCAL, None, other_example),
    (FOCAL, None, same_values),
    (FOCAL, None, said_constant),
    (FOCAL, None, said_bounded),
    (FOCAL, None, other_term("power(2) * nll - power(2)")),
    (FOCAL, None, other_term("power(3) * nll")),
    (FOCAL, None, other_term("truncated(5)")),
    (FOCAL, None, turned("proper")),
    (FOCAL, None, turned("bounded")),
    (STURM, None, other_chain),
    (STURM, None, other_polynomial),
    (STURM, None, other_cuts),
    (STURM, None, other_term("series([1, -0.55])")),
    (STURM, None, turned("decreasing")),
    ("series([1, -0.55])", None, turned("never_rises")),
    ("truncated(3)", None, other_term("truncated(4)")),
    ("power(2)", "sigmoid", other_link),
    ("power(2)", "sigmoid", said_mirrored),
    ("clipped_focal(2, 0.1)", None, other_term("clipped_focal(2, 0.001)")),
    ("jensen_shannon(0.5)", None, other_term("jensen_shannon(0.4)")),
    ("box_cox(0.7)", None, other_term("box_cox(1.7)")),
    ("nll * nll", None, other_term("nll")),
]


@pytest.mark.parametrize(
    ("text", "link", "plant"), PLANTED, ids=lambda each: getattr(each, "__name__", str(each))
)
def test_a_planted_fault_is_refused(
    text: str, link: str | None, plant: Callable[[Proof], None]
) -> None:
    given = certificate(text, link)
    assert faults(given) == []
    wrong = copy.deepcopy(given)
    plant(wrong)
    assert wrong != given
    assert faults(wrong)
    with pytest.raises(CertificateError):
        check(wrong)


@pytest.mark.parametrize(
    "given",
    [
        {}, {"link": "softmax"}, {"link": "softmax", "terms": []},
        {"link": "softmax", "terms": [3]},
        {"link": "softmax", "terms": [{"term": "nll", "properties": {"x": 3}}]},
        {"link": "softmax", "terms": [{"term": "nll + os", "properties": {}}]},
        {"link": "softmax", "terms": [{"term": "nll", "properties": {
            "decreasing": {"verdict": "proved", "proof": {"kind": "trust me"}}}}]},
        {"link": "softmax", "terms": [{"term": "nll", "properties": {
            "smooth": {"verdict": "proved", "proof": {}}}}]},
    ],
)  # fmt: skip
def test_what_is_no_certificate_is_refused(given: Proof) -> None:
    assert faults(given)


def test_the_checker_shares_no_code_with_the_prover() -> None:
    """Of the package it imports itself and nothing else."""
    from pathlib import Path

    import taylored.certificates.checker as room

    for file in Path(room.__file__).parent.glob("*.py"):
        for line in file.read_text().splitlines():
            if "import" in line and "taylored" in line:
                assert "taylored.certificates.checker" in line, f"{file.name}: {line}"


def test_it_leaves_the_precision_of_others_alone() -> None:
    from mpmath import iv

    before = iv.prec
    taylored.certify("focal").check()
    assert iv.prec == before


@pytest.mark.parametrize(
    "text",
    [
        "jensen_shannon(0.5) * nll + 2.47 * series([0.76, -0.92, 0.24, 0.9])",
        "truncated(1) * nll + shifted(constant(-0.21), 0.5)",
        "truncated(20) * box_cox(1.973)",
        "jensen_shannon(0.5) * (nll * truncated(3))",
    ],
)
def test_pieces_next_to_zero_are_followed(text: str) -> None:
    """Where p is 1e-300, its square is 0, and numbers near 1 cancel to it."""
    assert not faults(taylored.certify(text).to_dict())


@pytest.mark.parametrize(
    "text",
    [
        "2.31 * truncated(60) - (power(1) - jensen_shannon(0.3))",
        "-1 * (-2 * (-1 * (-1 * jensen_shannon(0.3) - power(1))))",
    ],
)
def test_factors_are_followed_into_sums(text: str) -> None:
    found = taylored.certify(text).to_dict()
    assert proof_of(found, "decreasing")["kind"] == "coefficients"
    assert not faults(found)


def test_what_cancels_to_nothing_has_no_gain() -> None:
    found = taylored.certify("(nll + truncated(5)) * (box_cox(1) - power(1))").to_dict()
    assert not faults(found)
    gain = proof_of(found, "gain")
    gain["lower"] = gain["upper"] = -1.0
    assert faults(found)


@pytest.mark.parametrize(
    "text",
    [
        "shifted(constant(1.4), 1) * shifted(power(2), 1)",
        "shifted(power(2), 1) * shifted(shifted(constant(1.4), 1), -0.5)",
        "shifted(0.4 + constant(1), 1) * shifted(power(2), 1)",
    ],
)
def test_a_constant_is_the_same_wherever_it_is_shifted_to(text: str) -> None:
    """What is shifted as a whole is certified at its own margins; a constant factor is no part."""
    assert not faults(taylored.certify(text).to_dict())
