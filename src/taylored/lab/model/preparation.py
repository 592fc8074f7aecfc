"""From rows as they are read to what the model was trained on, as a module that exports."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from taylored.lab.data import Column, Dataset, encode, fit_encoder
from taylored.lab.model.card import Encoding
from taylored.lab.trial.train import standard_of


class Preparation(nn.Module):
    """Encode the columns of a table, then standardise.

    Shape:
        rows (N, columns), (N, D) or (N, channels, height, width), float64; NaN is missing. Returns
        float32.
    """

    def __init__(
        self, columns: Sequence[Column], encoding: Encoding | None, numbers: Mapping[str, Tensor]
    ) -> None:
        super().__init__()
        self.encoding = encoding
        kinds = [column.kind for column in columns]
        for name in ("offset", "mean", "deviation"):
            self.register_buffer(name, numbers[name])
        if encoding is None:
            return
        places = {
            "numbers": torch.tensor([p for p, kind in enumerate(kinds) if kind == "number"]),
            "categories": torch.tensor([p for p, kind in enumerate(kinds) if kind == "category"]),
            "indicated": torch.tensor(encoding.indicated),
        }
        for name, place in places.items():
            self.register_buffer(name, place.long())
        self.register_buffer("medians", torch.tensor(encoding.medians, dtype=torch.float64))
        for number, kept in enumerate(encoding.kept):
            self.register_buffer(f"kept_{number}", torch.tensor(kept, dtype=torch.float64))

    def forward(self, rows: Tensor) -> Tensor:
        """The rows as the model wants them."""
        numbers = rows.double() - self._tensor("offset")
        if self.encoding is not None:
            numbers = self._encoded(numbers, self.encoding)
        return ((numbers - self._tensor("mean")) / self._tensor("deviation")).float()

    def _encoded(self, rows: Tensor, encoding: Encoding) -> Tensor:
        values = rows.index_select(1, self._tensor("numbers"))
        gaps = values.isnan()
        parts = [torch.where(gaps, self._tensor("medians"), values)]
        parts.append(gaps.index_select(1, self._tensor("indicated")).double())
        codes = rows.index_select(1, self._tensor("categories"))
        codes = torch.where(codes.isnan(), -1.0, codes)  # a missing category is a category
        for place, rest in enumerate(encoding.rest):
            own = (codes[:, place : place + 1] == self._tensor(f"kept_{place}")).double()
            parts += [own, 1 - own.sum(1, keepdim=True)] if rest else [own]
        return torch.cat(parts, dim=1)

    def _tensor(self, name: str) -> Tensor:
        found: Tensor = self.get_buffer(name)
        return found


def learnt_from(
    dataset: Dataset, training: npt.NDArray[np.bool_]
) -> tuple[Encoding | None, dict[str, Tensor]]:
    """The encoding, and offset, mean and deviation, as the training rows of a trial have them."""
    encoding = _encoding(dataset, training) if dataset.columns else None
    encoded = dataset.features
    if dataset.columns:
        encoded = encode(dataset.columns, dataset.features, training)
    mean, deviation = standard_of(encoded[training])
    offset = np.zeros(1) if dataset.offset is None else dataset.offset
    found = {"offset": offset, "mean": mean, "deviation": deviation}
    return encoding, {
        name: torch.tensor(value, dtype=torch.float64) for name, value in found.items()
    }


def _encoding(dataset: Dataset, training: npt.NDArray[np.bool_]) -> Encoding:
    columns, rows = dataset.columns, dataset.features[training]
    numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
    whole = len(numbers) == len(columns) and not np.isnan(dataset.features).any()
    if whole:  # such data are not encoded; a gap in a new row gets the median all the same
        return Encoding(tuple(np.median(rows, axis=0).tolist()), (), (), ())
    fitted = fit_encoder(columns, rows).named_transformers_
    imputer, coder = fitted.get("numbers"), fitted.get("categories")
    kept: list[tuple[float, ...]] = []
    rest: list[bool] = []
    if len(numbers) < len(columns):
        for known, rare in zip(coder.categories_, coder.infrequent_categories_, strict=True):
            left = set() if rare is None else set(rare.tolist())
            kept.append(tuple(value for value in known.tolist() if value not in left))
            rest.append(rare is not None)
    if not numbers:
        return Encoding((), (), tuple(kept), tuple(rest))
    medians = tuple(imputer.statistics_.tolist())
    return Encoding(medians, tuple(imputer.indicator_.features_.tolist()), tuple(kept), tuple(rest))
