"""What every loss offers to those who use a model that was trained with it."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from taylored.core.checks import fail
from taylored.core.context import values_are_known
from taylored.core.inputs.targets import check_input
from taylored.core.logistic import sigmoid
from taylored.core.numerics import computing_dtype
from taylored.core.plan.options import LinkName, Options, PerClass
from taylored.core.posterior.invertible import NoPosteriorError, no_posterior
from taylored.core.posterior.prior import Prior, check_prior, under_prior

_UNSAID = "it computes its loss by `evaluate` or `forward` and says no `calibrated`"


class Probabilistic:
    """The mixin of losses: what the outputs of a model trained with the loss mean.

    `calibrated` is the slot that says how the outputs are read, as `evaluate` says how they are
    trained: a class that fills `evaluate` or `forward` has to fill it too, or says in
    `unreadable` why there is none.
    """

    link: LinkName
    unreadable: ClassVar[str] = ""
    _slots_of_training: ClassVar[tuple[str, ...]] = ("evaluate", "forward")

    def options(self) -> Options:
        """Those of the training."""
        raise NotImplementedError

    @property
    def output_dim(self) -> int:
        """The axis of the classes in a model's outputs."""
        return 1

    def num_columns(self) -> int:
        """How many classes outputs may have, where the loss has numbers for each; else any."""
        return 2

    def check_outputs(self, outputs: Tensor) -> None:
        """Refuse what this loss has no numbers for."""

    def published(self, outputs: Tensor) -> Tensor:
        """The logits that the loss's paper reads a model's outputs as: those themselves."""
        return outputs

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Logits of the class distribution of the training data."""
        raise NotImplementedError

    def moved(
        self, logits: Tensor, prior: Prior, counts: PerClass | None, num_samples: float | None
    ) -> Tensor:
        """Calibrated logits of another class distribution."""
        return under_prior(logits, self.link, prior, counts, num_samples)

    def training_counts(self) -> tuple[PerClass | None, float | None]:
        """Training samples per class, and what they are parts of, where the loss knows them."""
        return None, None

    @property
    def has_posterior(self) -> bool:
        """Whether the class probabilities follow from the outputs in closed form."""
        try:
            self._logits(torch.zeros(1, self.num_columns(), device="cpu"), "train", None, None)
        except NoPosteriorError:
            return False
        return True

    def why_no_posterior(self) -> str:
        """Why they do not; an empty text if they do."""
        for kind in type(self).__mro__:
            own = vars(kind)
            if said := own.get("unreadable"):
                return str(said)
            if "calibrated" in own:
                break
            if any(slot in own for slot in self._slots_of_training):
                return _UNSAID
        return ""

    def logits(
        self,
        outputs: Tensor,
        *,
        prior: Prior | None = "train",
        counts: PerClass | None = None,
        num_samples: float | None = None,
    ) -> Tensor:
        """Calibrated logits: their softmax (sigmoid) is the `posterior`.

        For thresholds, and for a temperature to be fitted. Arguments and errors are those of
        `posterior`.
        """
        check_prior(prior, counts, num_samples)
        if check_input(outputs).dim() < 2 or self.output_dim == 1:
            return self._logits(outputs, prior, counts, num_samples)
        moved = outputs.movedim(self.output_dim, 1)
        return self._logits(moved, prior, counts, num_samples).movedim(1, self.output_dim)

    def _logits(
        self,
        outputs: Tensor,
        prior: Prior | None,
        counts: PerClass | None,
        num_samples: float | None,
    ) -> Tensor:
        """The same with the classes on axis 1, which the slots find there."""
        self.check_outputs(outputs)
        if prior is None:
            return self.published(outputs)
        if why := self.why_no_posterior():
            no_posterior(type(self).__name__, why)
        logits = self.calibrated(outputs, self.options())
        if isinstance(prior, str) and prior == "train":
            return logits
        if counts is None:
            counts, known = self.training_counts()
            num_samples = known if num_samples is None else num_samples
        return self.moved(logits, prior, counts, num_samples)

    def posterior(
        self,
        outputs: Tensor,
        *,
        prior: Prior | None = "train",
        counts: PerClass | None = None,
        num_samples: float | None = None,
    ) -> Tensor:
        """Probability of each class, by what a model trained with this loss gives.

        Only under cross-entropy is the softmax (sigmoid) of the outputs of a model that has learned
        what it was told the probability of the classes. Here everything that the training did is
        undone, in closed form: the shape of the loss, weights, priors, margins, temperature,
        smoothing.

        Args:
            outputs: what the model gives, (N, C, d1, ...), or one sample or question, as the loss
                takes it.
            prior: the class distribution that the probabilities are for. "train": that of the
                training data. "balanced": all classes alike frequent (sigmoid link: each with a
                rate of 1/2). Numbers: that of where the model is used, as counts or rates of the
                classes (sigmoid link: rates of positives). None undoes nothing, and is how the
                loss's paper reads the outputs.
            counts: training samples per class, which a prior other than "train" needs; a loss that
                was built with counts knows them.
            num_samples: what the counts are parts of, for the sigmoid link.

        Returns:
            Probabilities of the shape of `outputs`, float32 for half precision; NaN where outputs
            are at no minimum of the loss.

        Raises:
            NoPosteriorError: for a loss without such a closed form; it says why.
            ValueError: for a prior without counts, or numbers that do not fit.
        """
        logits = self.logits(outputs, prior=prior, counts=counts, num_samples=num_samples)
        wide = logits.to(computing_dtype(logits))
        return sigmoid(wide) if self.link == "sigmoid" else torch.softmax(wide, self._axis(wide))

    def predict(
        self,
        outputs: Tensor,
        *,
        prior: Prior | None = None,
        counts: PerClass | None = None,
        num_samples: float | None = None,
    ) -> Tensor:
        """The decision: index of a class for each position (softmax), yes or no (sigmoid).

        By default it is that of the loss's paper: the class of the largest output, or yes where the
        output is positive. For losses with a prior in training (balanced softmax, ...) this is the
        best for balanced classes. With a `prior` it is the likeliest class, or yes above 1/2, of
        the `posterior`, whose arguments and errors it has.
        """
        logits = self.logits(outputs, prior=prior, counts=counts, num_samples=num_samples)
        if prior is not None and values_are_known() and bool((logits != logits).any()):
            got = "some at no minimum of the loss, or NaN"
            fail("outputs", "those of a model trained with this loss", got, "use prior=None")
        return logits > 0 if self.link == "sigmoid" else logits.argmax(self._axis(logits))

    def _axis(self, logits: Tensor) -> int:
        return self.output_dim if logits.dim() > 1 else 0
