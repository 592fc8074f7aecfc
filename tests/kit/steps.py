"""Steps of gradient descent that are really taken, and differences of what they lead to."""

import copy

import torch
from torch.nn import functional as F


def step_and_validate(
    model, training_loss, train, validation, *, rate, judge=F.cross_entropy, scale=None
):
    """The validation loss after one step, by plain torch."""
    names = [name for name, each in model.named_parameters() if each.requires_grad]
    stepped = copy.deepcopy(model)
    own = [stepped.get_parameter(name) for name in names]
    value = training_loss(stepped(train[0]), train[1])
    slopes = torch.autograd.grad(value, own, allow_unused=True)
    with torch.no_grad():
        for name, each, slope in zip(names, own, slopes, strict=True):
            if slope is not None:
                each -= rate * slope * (scale[name] if scale else 1.0)
        return judge(stepped(validation[0]), validation[1]).item()


def difference(of, width=1e-4):
    """Central, of the fourth order."""
    near, far = of(width) - of(-width), of(2 * width) - of(-2 * width)
    return (8 * near - far) / (12 * width)
