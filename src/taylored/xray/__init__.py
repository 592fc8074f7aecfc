"""Where on the axis of p a training would want more or less push, seen from the validation loss.

`xray(...)` looks at one step: what every coefficient of the loss does to the validation loss, for
all samples, classes and groups at once. `xray_training(...)` looks at moments of whole trainings
on data of the lab. The command is `taylored xray`.
"""

from taylored.xray.along import TrainingXRay, xray_training
from taylored.xray.curve import Curve
from taylored.xray.moment import Moment, Outcome
from taylored.xray.one_step import xray
from taylored.xray.result import XRay

__all__ = ["Curve", "Moment", "Outcome", "TrainingXRay", "XRay", "xray", "xray_training"]
