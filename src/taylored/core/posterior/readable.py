"""What outputs mean under losses that are no classification losses of a link: scores and ranks."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from taylored.core.checks import check_floats
from taylored.core.numerics import computing_dtype
from taylored.core.posterior.invertible import no_posterior


class Readable:
    """The mixin of losses whose minimum tells probabilities, or that say in `unreadable` why not.

    A subclass fills `probabilities` and `decisions`. Priors are not moved here: the probabilities
    are those of the training data.
    """

    unreadable: ClassVar[str] = ""

    def check_outputs(self, outputs: Tensor) -> None:
        """Refuse outputs of another shape than the loss is trained with."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        """From outputs in the computing dtype to probabilities; the slot of a subclass."""
        raise NotImplementedError

    def decisions(self, outputs: Tensor) -> Tensor:
        """The decision of the loss's paper; the slot of a subclass."""
        raise NotImplementedError

    def why_no_posterior(self) -> str:
        """Why the outputs tell no probabilities; an empty text if they do."""
        return self.unreadable

    @property
    def has_posterior(self) -> bool:
        """Whether the probabilities follow from the outputs in closed form."""
        return not self.why_no_posterior()

    def posterior(self, outputs: Tensor) -> Tensor:
        """Probabilities, by what a model trained with this loss gives.

        Args:
            outputs: what the model gives, as the loss takes it.

        Returns:
            Probabilities, float32 for half precision.

        Raises:
            NoPosteriorError: for a loss without such a closed form; it says why.
        """
        if why := self.why_no_posterior():
            no_posterior(type(self).__name__, why)
        return self.probabilities(self._read(outputs))

    def predict(self, outputs: Tensor) -> Tensor:
        """The decision of the loss's paper; it needs no closed form of the probabilities."""
        return self.decisions(self._read(outputs))

    def _read(self, outputs: Tensor) -> Tensor:
        check_floats(outputs=outputs)
        self.check_outputs(outputs)
        return outputs.to(computing_dtype(outputs))
