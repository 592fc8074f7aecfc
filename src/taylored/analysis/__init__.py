"""What losses do to gradients, in numbers and pictures, for these losses and for your own.

Every analysis takes losses as catalogue texts, modules or functions `(logits, target) -> loss`,
works in float64, and gives its data, with a `draw()` that returns matplotlib's `(figure, axes)`.
"""

from taylored.analysis.curves import GradientCurves, gradient_curves
from taylored.analysis.layer import LayerGradients, layer_gradients
from taylored.analysis.maps import GradientMaps, gradient_maps
from taylored.analysis.smoothing import (
    ClassSpread,
    SmoothedOptimum,
    class_spread,
    smoothed_optimum,
)

__all__ = [
    "ClassSpread",
    "GradientCurves",
    "GradientMaps",
    "LayerGradients",
    "SmoothedOptimum",
    "class_spread",
    "gradient_curves",
    "gradient_maps",
    "layer_gradients",
    "smoothed_optimum",
]
