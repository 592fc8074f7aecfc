"""What the doctor says of sound losses, of losses that do not come back, and in which forms."""

from __future__ import annotations

import json
from typing import get_type_hints

import pytest
import torch
from torch import nn

from doctor.defects import ENDING
from kit.turns import WHOLE_GRID
from taylored import catalog, testing
from taylored.doctor import CHECKS, examine
from taylored.doctor.examination import HowToExamine

SOUND = {
    spec.family if not WHOLE_GRID else spec.name: spec.examples[0]
    for spec in catalog.SPECS.values()
    if spec.takes == "logits" and spec.call in ("plain", "sets", "batch")
}
"""The last loss of each family, or every loss."""

QUICK = tuple(check.name for check in CHECKS if check.name not in ("compile", "cost"))


@pytest.mark.parametrize("text", SOUND.values())
def test_no_fault_in_the_catalogue(text):
    checks = () if WHOLE_GRID else QUICK  # compiling takes seconds, and has a suite of its own
    report = examine(text, checks=checks, time_limit=None)
    assert len(report.asked) > 30
    assert not report.errors, str(report)
    assert "reads-values" not in report.names, str(report)  # which makes a GPU wait


def test_one_of_them_by_every_check():
    assert examine("focal(gamma=2)", time_limit=None).names == {"denominator-per-batch"}


@pytest.mark.parametrize(
    ("loss", "found"),
    [
        (nn.CrossEntropyLoss(), {"denominator-per-batch"}),
        (nn.CrossEntropyLoss(reduction="sum"), set()),
        (nn.CrossEntropyLoss(reduction="none"), set()),
        (nn.BCEWithLogitsLoss(), set()),
        (nn.MultiMarginLoss(), set()),
        ("seesaw", {"denominator-per-batch"}),
        ("softmax_eql", {"state-per-call"}),
        ("dice", {"micro-batches-differ"}),
        ("hardest(cross_entropy)", {"micro-batches-differ"}),
    ],
)
def test_micro_batches_that_add_up_and_others(loss, found):
    """A mean over fixed numbers adds up, one over what counts is explained, a ratio does not."""
    report = examine(loss, checks=("accumulation",), time_limit=None)
    assert report.names == found, str(report)
    assert not report.errors
    for each in report.findings:
        if "loss = ..." not in each.snippet:
            exec(compile(each.snippet, "snippet", "exec"), {"print": lambda *_: None})  # noqa: S102


class Likelihood(nn.NLLLoss):
    def forward(self, logits, target):
        return super().forward(torch.log_softmax(logits, 1), target)


@pytest.mark.parametrize(
    ("loss", "known"),
    [
        (nn.CrossEntropyLoss(), {"all-ignored-nan"}),
        (nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3, 4, 5])), {"all-ignored-nan"}),
        (nn.CrossEntropyLoss(label_smoothing=0.1, reduction="none"), set()),
        (Likelihood(), {"all-ignored-nan"}),
        (nn.BCEWithLogitsLoss(), set()),
        (nn.BCEWithLogitsLoss(pos_weight=torch.full((5,), 3.0)), set()),
        (nn.MultiMarginLoss(), set()),
        (nn.MultiLabelSoftMarginLoss(), set()),
    ],
)
def test_torch_has_the_faults_that_it_documents(loss, known):
    report = examine(loss, checks=QUICK, time_limit=None)
    assert {each.name for each in report.errors} == known, str(report)


@pytest.mark.parametrize("what", ENDING)
def test_a_loss_that_does_not_come_back_is_a_finding(what):
    loss, diagnosis = ENDING[what]
    limit = {"hangs": 3.0, "crashes": 60.0}.get(diagnosis)  # the others in this process
    report = examine(loss, time_limit=limit)
    assert [each.name for each in report.findings] == [diagnosis], str(report)
    assert report.errors[0].evidence


OWN = '''
import os
import torch
import torch.nn.functional as F

def late(logits, target):
    """Dies where logits are large."""
    if logits.abs().max() > 5000:
        os._exit(7)
    return F.cross_entropy(logits, target)

class Scaled(torch.nn.Module):
    def __init__(self, scale, reduction="mean"):
        super().__init__()
        self.scale, self.reduction = scale, reduction

    def __getstate__(self):
        return {**self.__dict__, "scale": 1.0}

    def forward(self, logits, target):
        return self.scale * F.cross_entropy(logits, target, reduction=self.reduction)
'''


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "own_losses.py"
    file.write_text(OWN)
    return file


def test_the_other_questions_are_asked_after_a_death(own):
    report = examine(f"{own}:late", time_limit=30.0, checks=("float32", "upstream", "order"))
    assert [each.name for each in report.findings] == ["exits"]
    assert report.findings[0].evidence["exit code"] == 7
    assert report.asked[-2:] == ("upstream", "order")
    compile(report.findings[0].snippet, "snippet", "exec")


def test_a_class_of_a_file_with_arguments(own):
    text = f"{own}:Scaled(3.0)"
    report = examine(text, time_limit=None, checks=("copies of the module", "recognised"))
    assert report.names == {"copy-differs", "recognised"}
    recognised = next(each for each in report.findings if each.name == "recognised")
    assert recognised.evidence["loss"] == "cross_entropy"
    assert recognised.evidence["factor"] == pytest.approx(3.0)
    exec(compile(recognised.snippet, "snippet", "exec"), {})  # noqa: S102


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("foc", "no loss is called 'foc'"),
        ("giou", "takes boxes"),
        ("nowhere.py:Loss", "there is no file"),
        ("no_such_module:Loss", "no module named 'no_such_module'"),
        ("torch.nn:CrossEntropyLos", "Did you mean 'CrossEntropyLoss'"),
        ("torch.nn:CrossEntropyLoss(print())", "must be literals"),
        ("torch:pi", "is a float"),
    ],
)
def test_a_name_of_nothing(text, says):
    with pytest.raises(ValueError, match=says):
        examine(text, time_limit=None)


def test_an_unknown_check():
    with pytest.raises(ValueError, match="`checks` must be one of"):
        examine("focal", checks=("spelling",))


def faulty(logits, target):
    return -torch.softmax(logits, 1).gather(1, target[:, None]).log().mean()


def test_forms():
    report = examine(faulty, time_limit=None, checks=("float32",))
    assert json.loads(report.to_json())["findings"][0]["name"] == "overflows"
    log = json.loads(report.to_sarif())
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == report.names
    assert {result["ruleId"] for result in run["results"]} == report.names
    assert run["results"][0]["level"] == "error"


def test_maps_are_found_by_trying():
    def of_maps(logits, target):
        _, _, height, width = logits.shape
        return torch.nn.functional.cross_entropy(logits, target) + 0 * height * width

    assert examine(of_maps, time_limit=None, checks=("call",)).form.startswith(
        "logits (N, 5, 4, 4)"
    )


def test_check_loss():
    with pytest.raises(AssertionError, match=r"overflows: The value is not finite(.|\n)*Fix:"):
        testing.check_loss(faulty, time_limit=None)
    checks = ("recognised", "all ignored")
    found = testing.check_loss(
        nn.CrossEntropyLoss(), checks=checks, expected=["all-ignored-nan"], time_limit=None
    )
    assert found.names == {"recognised", "all-ignored-nan"}


def test_the_arguments_of_an_examination_are_handed_on():
    keywords = get_type_hints(examine)
    del keywords["loss"], keywords["return"]
    assert get_type_hints(HowToExamine) == keywords
    for make in (testing.check_loss, testing.checks_of):
        with pytest.raises(TypeError, match="unexpected keyword argument 'check'"):
            make(faulty, check=())


CHECKED = testing.checks_of(
    nn.CrossEntropyLoss(), checks=QUICK, expected=["all-ignored-nan"], time_limit=None
)


@pytest.mark.parametrize("check", CHECKED)
def test_parametrised(check):
    check()


def test_every_check_is_named_once_and_gives_what_it_says():
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)
    assert [check.__name__ for check in testing.checks_of("focal")] == names


def test_each_of_them_fails_where_its_question_has_a_fault():
    checks = {each.__name__: each for each in testing.checks_of(faulty, time_limit=None)}
    checks["order"]()
    with pytest.raises(AssertionError, match="overflows"):
        checks["float32"]()
