"""What is wrong with a classification loss: `taylored.doctor.examine(loss)`.

Any callable `(logits, target) -> value` may be examined; findings come with a severity, numbers, a
program that shows them, and what to do.
"""

from taylored.doctor.check import Check as Check
from taylored.doctor.checks import CHECKS as CHECKS
from taylored.doctor.examination import examine as examine
from taylored.doctor.finding import Finding as Finding
from taylored.doctor.report import Report as Report
from taylored.doctor.target import TargetError as TargetError
