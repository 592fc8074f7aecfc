"""Loss strings: read, never evaluated; every failure says what was expected."""

from __future__ import annotations

import random
import string

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given

from kit.cases import COUNTS, examples, quickly
from taylored import CrossEntropyLoss, FocalLoss, catalog
from taylored.catalog import LossNameError

REFUSED = [
    ("focl(gamma=2)", "no loss is called 'focl'. Did you mean 'focal'"),
    ("crossentropy", "Did you mean 'cross_entropy'"),
    ("xyzzy", "Known: cross_entropy"),
    ("focal(gama=2)", "no parameter 'gama'. Did you mean 'gamma'"),
    ("cross_entropy(gamma=2)", "cross_entropy has no parameter 'gamma'"),
    ("focal(2)", "named arguments only"),
    ("class_balanced(beta=0.9)", "takes one loss first"),
    ("class_balanced(focal, 0.9)", "takes one loss first"),
    ("focal(focal, gamma=2)", "named arguments only"),
    ("focal.gamma", "write a loss like"),
    ("focal[0]", "write a loss like"),
    ("focal()()", "write a loss like"),
    ("torch.nn.CrossEntropyLoss()", "write a loss like"),
    ("lambda: 1", "write a loss like"),
    ("focal - poly", "write a loss like"),
    ("focal + 1", "write a loss like"),
    ("focal * poly", "write a number >= 0 and one loss"),
    ("2 * 3", "write a loss like"),
    ("2 * 3 * focal", "write a number >= 0 and one loss"),
    ("-1 * focal", "write a number >= 0 and one loss"),
    ("True * focal", "write a number >= 0 and one loss"),
    ("'2' * focal", "write a number >= 0 and one loss"),
    ("1e400 * focal", "finite numbers"),
    ("9" * 400 + " * focal", "too large"),
    ("class_balanced(focal + poly)", "write a loss like"),
    ("focal + focl", "no loss is called 'focl'"),
    ("[focal]", "write a loss like"),
    ("'focal'", "write a loss like"),
    ("1", "write a loss like"),
    ("focal(", "cannot read the loss"),
    ("", "cannot read the loss"),
    ("focal; poly", "cannot read the loss"),
    ("focal = 1", "cannot read the loss"),
    ("import os", "cannot read the loss"),
    ("focal(gamma=2\x00)", "cannot read the loss"),
    ("focal(gamma=1, gamma=2)", "'gamma' twice"),
    ("focal(**{'gamma': 2})", "no parameter None"),
    ("class_balanced(*focal)", "write a loss like"),
    ("focal(gamma=two)", "not a plain value"),
    ("focal(gamma=1 + 1)", "not a plain value"),
    ("focal(gamma={1})", "not a plain value"),
    ("focal(gamma={'a': 1})", "not a plain value"),
    ("focal(gamma=f'{1}')", "not a plain value"),
    ("focal(gamma=b'1')", "not a plain value"),
    ("focal(gamma=1j)", "not a plain value"),
    ("focal(gamma=...)", "not a plain value"),
    ("focal(gamma=True)", "not a plain value"),
    ("focal(gamma=-True)", "not a plain value"),
    ("focal(ignore_index=False)", "not a plain value"),
    ("focal(gamma=1e400)", "finite numbers"),
    ("focal(gamma=-1e400)", "finite numbers"),
    ("series(coefficients=[1, 1e400])", "finite numbers"),
    ("taylor(num_terms=" + "9" * 400 + ")", "too large"),
    ("focal(gamma='a')", "must be a number >= 0, or one per class, got 'a'"),
    ("series(coefficients='12')", "numbers need no quotes"),
    ("class_balanced(focal, beta='a')", "numbers need no quotes"),
    ("focal(gamma=[1, 'a'])", "lists of numbers"),
    ("focal(gamma=[1, [2, 3]])", "lists of numbers"),
    ("focal(gamma=[1, None])", "lists of numbers"),
    ("focal(gamma=" + "[" * 50 + "]" * 50 + ")", "lists of numbers"),
]

HOSTILE = [
    "__import__('os').system('touch {}')",
    "focal(gamma=__import__('os').system('touch {}'))",
    "focal(gamma=open('{}', 'w'))",
    "class_balanced(open('{}', 'w'))",
    "class_balanced(focal, counts=[open('{}', 'w')])",
    "(lambda: open('{}', 'w'))()",
    "[open('{}', 'w') for _ in [1]]",
    "open('{}', 'w')",
    'exec(\'open("{}", "w")\')',
    "focal(gamma=(x := open('{}', 'w')))",
]

DEEP = [
    "class_balanced(" * 3000 + "focal" + ")" * 3000,
    "focal(gamma=" + "[" * 5000 + "]" * 5000 + ")",
    "focal(gamma=" + "-" * 200_000 + "1)",
    "focal(gamma=" + ".".join("a" * 5000) + ")",
    "focal(gamma=" + "+".join("1" * 5000) + ")",
    "focal(gamma=" + "not " * 20_000 + "1)",
    "(" * 10_000,
    "a" * 100_000,
    "focal(gamma=" + "9" * 10_000 + ")",
    "focal(" * 500,
    "focal + " * 20_000 + "focl",
    "focal(gamma=2)" + " " * 2_000_000,
]


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_with_a_message(text: str, message: str) -> None:
    for read in (lambda t: catalog.get(t, counts=COUNTS), catalog.get):
        with pytest.raises(LossNameError) as caught:
            read(text)
        assert message in str(caught.value)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_is_evaluated(text: str, tmp_path) -> None:
    trace = tmp_path / "trace"
    for read in (catalog.get, catalog.needs, catalog.spec):
        with pytest.raises(LossNameError):
            read(text.format(trace))
    assert not trace.exists()


@pytest.mark.parametrize("text", DEEP, ids=range(len(DEEP)))
def test_long_and_deep_strings_are_refused_briefly(text: str) -> None:
    for read in (catalog.get, catalog.needs, catalog.spec):
        if read is catalog.spec and text.strip() in catalog.SPECS:
            continue
        with pytest.raises(LossNameError) as caught:
            read(text)
        assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("text", [None, 3, b"focal", ["focal"], CrossEntropyLoss()])
def test_only_strings_are_read(text: object) -> None:
    with pytest.raises(LossNameError, match="must be a string"):
        catalog.get(text)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("focal(gamma=-1)", "gamma"),
        ("focal(gamma=[1, -1])", "gamma"),
        ("focal(gamma=[])", "gamma"),
        ("focal(gamma=None)", "gamma"),
        ("focal(weight=[1, -2])", "weight"),
        ("focal(alpha=0.25)", "alpha"),
        ('focal(alpha=1.5, link="sigmoid")', "alpha"),
        ('focal(alpha=[0.5, 1.5], link="sigmoid")', "alpha"),
        ("focal(pos_weight=2)", "pos_weight"),
        ('focal(pos_weight=-2, link="sigmoid")', "pos_weight"),
        ('focal(link="tanh")', "link"),
        ("focal(label_smoothing=1.5)", "label_smoothing"),
        ("focal(ignore_index=0.5)", "ignore_index"),
        ('focal(reduction="average")', "reduction"),
        ("poly(epsilon=[])", "epsilon"),
        ("poly(gamma=-1)", "gamma"),
        ("taylor(num_terms=0)", "num_terms"),
        ("taylor(num_terms=2.0)", "num_terms"),
        ("focal(label_smoothing=None)", "label_smoothing"),
        ("series(coefficients=1)", "coefficients"),
        ("poly(epsilon=None)", "epsilon"),
        ("series(coefficients=[])", "coefficients"),
        ("class_balanced(focal, beta=2)", "beta"),
        ("class_balanced(focal, counts=[])", "counts"),
        ('class_balanced(focal, weighting="row")', "weighting"),
        ("class_balanced(focal(weight=[1, 2]))", "loss"),
        ("class_balanced(class_balanced(focal))", "loss"),
        ("balanced_cross_entropy(alpha=-0.1)", "alpha"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    """The message names the argument, what was expected, what came and the fix."""
    with pytest.raises(ValueError, match=r"`.*` must be .*got .*Fix: ") as caught:
        catalog.get(text, counts=COUNTS)
    assert f"`{name}` must be " in str(caught.value)


def test_every_parameter_is_refused_a_value_of_the_wrong_kind() -> None:
    """No parameter of any loss takes a nonsense word, a nested list or a boolean."""
    for spec in catalog.SPECS.values():
        for parameter in spec.accepted:
            for nonsense in ('"nonsense"', "[[1, 2], [3, 4]]", "True", "[None]"):
                inner = "focal, " if spec.inner == "required" else ""
                text = f"{spec.name}({inner}{parameter.name}={nonsense})"
                with pytest.raises(ValueError, match=r"Fix|must be"):
                    catalog.get(text, counts=COUNTS)


def test_counts_come_from_the_caller_or_the_string() -> None:
    assert catalog.needs("class_balanced(cross_entropy)") == {"counts"}
    assert catalog.needs("class_balanced(cross_entropy, counts=[1, 2])") == frozenset()
    assert catalog.needs("focal") == frozenset()
    with pytest.raises(LossNameError, match=r"needs the number of training samples.*counts="):
        catalog.get("class_balanced(cross_entropy)")
    given_ = catalog.get("class_balanced(cross_entropy)", counts=[5, 3])
    written = catalog.get("class_balanced(cross_entropy, counts=[5, 3])", counts=[1, 1])
    assert repr(given_) == repr(written)
    tensor = catalog.get("class_balanced(cross_entropy)", counts=torch.tensor([5, 3]))
    assert repr(tensor) == repr(given_)


def test_spaces_and_lists_and_tuples_are_free() -> None:
    assert repr(catalog.get(" focal ( gamma = 2.0 , ) ")) == "FocalLoss(gamma=2)"
    assert repr(catalog.get("poly(epsilon=(1, 0.5))")) == "PolyLoss(epsilon=[1, 0.5], gamma=0)"
    assert repr(catalog.get("poly(epsilon=+1)")) == repr(catalog.get("poly"))
    assert repr(catalog.get("focal(gamma=[\n1,\n2])")) == "FocalLoss(gamma=[1, 2])"


def test_names_of_modules_are_names_too() -> None:
    for name, spec in catalog.SPECS.items():
        assert catalog.spec(spec.module.__name__) is catalog.spec(name) is spec


@pytest.mark.parametrize("text", examples())
def test_repr_round_trip(text: str) -> None:
    loss = catalog.get(text, counts=COUNTS)
    assert repr(catalog.get(repr(loss))) == repr(loss)
    again = catalog.get(repr(loss))
    for name, value in loss.state_dict().items():
        assert torch.equal(again.state_dict()[name], value)


def test_repr_has_all_the_digits_it_needs_and_no_more() -> None:
    assert repr(catalog.get("focal(gamma=0.1)")) == "FocalLoss(gamma=0.1)"
    wide = "FocalLoss(gamma=[0.1, 0.30000001192092896])"
    assert repr(catalog.get(wide)) == wide
    rounded = torch.tensor([0.1, 0.3])
    assert repr(FocalLoss(gamma=rounded)) == "FocalLoss(gamma=[0.1, 0.3])"
    third = torch.tensor([1 / 3, 2 / 3])
    loss = catalog.get(f"focal(weight={third.tolist()})")
    assert torch.equal(catalog.get(repr(loss)).weight, third)


def test_names_search_and_spec() -> None:
    assert catalog.names() == tuple(catalog.SPECS)
    assert set(catalog.names("classification")) <= set(catalog.names())
    assert catalog.names("no such family") == ()
    for name, spec in catalog.SPECS.items():
        assert spec.name == name
        assert catalog.spec(name) is spec
        assert name in catalog.search(spec.summary.upper())
    assert catalog.search("effective number") == ("class_balanced",)
    assert catalog.search("no such words") == ()
    assert catalog.spec("class_balanced(focal)").name == "class_balanced"


@pytest.mark.parametrize("name", catalog.SPECS)
def test_spec_is_complete(name: str) -> None:
    spec = catalog.SPECS[name]
    for parameter in spec.accepted:
        assert parameter.domain
        assert parameter.effect
        if parameter.search is not None:
            assert parameter.search.low < parameter.search.high
    assert spec.formula
    assert spec.summary
    assert spec.denominator
    assert spec.examples


fragments = st.one_of(
    st.sampled_from(
        ("focal", "poly", "class_balanced", "(", ")", "[", "]", ",", "=", "gamma", "epsilon",
         "beta", "counts", "1", "-1", "0.5", "1e999", "None", "True", "'a'", ".", "*", "**", "__",
         "lambda:", ":=", "if", "\n", "\\", "#", "\u0660", "\x00", "{", "}", "f'{x}'")
    ),
    st.text(alphabet=string.printable, max_size=3),
)  # fmt: skip


@quickly
@given(st.lists(fragments, max_size=14))
@example(["focal", "(", "gamma", "=", "\u0660", ")"])
def test_anything_else_is_a_value_error(parts: list[str]) -> None:
    text = "".join(parts)
    try:
        loss = catalog.get(text, counts=COUNTS)
    except ValueError as error:
        assert str(error)
    else:
        assert repr(catalog.get(repr(loss))) == repr(loss)


def test_damaged_examples_are_value_errors_too() -> None:
    draw = random.Random(0)  # noqa: S311
    refused = 0
    for text in examples():
        for _ in range(60):
            damaged = list(text)
            for _ in range(draw.randint(1, 3)):
                place = draw.randrange(len(damaged))
                damaged[place] = draw.choice(["", "(", ")", "=", ",", "a", "9", "-", "'", "[", "]"])
            try:
                catalog.get("".join(damaged), counts=COUNTS)
            except ValueError:
                refused += 1
    assert refused > 500
