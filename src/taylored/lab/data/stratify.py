"""Parts for multi-label data in which every label has its share.

One sample belongs to several labels, so the parts cannot be drawn label by label. As in iterative
stratification (Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML
PKDD 2011, algorithm 1) the label with the fewest samples still to place goes first, because later
labels can be balanced with more freedom. Ties go to the part that the sample's other labels need.
"""

import numpy as np
import numpy.typing as npt

from taylored.lab.data.dataset import Labels

_SCALE = 720_720  # needs per remaining sample as whole numbers: no rounding, so no platform


def stratify(
    labels: Labels,
    shares: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """The part of each sample.

    Shape:
        labels (N, L), 0 or 1; shares (P, L): samples of each label that each part should get;
        rows (P,): samples that each part should get; order (N,): the order of drawing, random.
        Returns (N,), 0 .. P-1.
    """
    needed, room = shares.copy(), rows.copy()
    remaining = labels.sum(axis=0, dtype=np.int64)
    own = [np.flatnonzero(row) for row in labels]
    parts = np.full(len(labels), -1, dtype=np.int64)
    while remaining.any():
        label = int(np.argmin(np.where(remaining > 0, remaining, len(labels) + 1)))
        for sample in order[(labels[order, label] == 1) & (parts[order] < 0)].tolist():
            others = own[sample]
            urgency = (needed[:, others] * _SCALE // remaining[others]).sum(axis=1)
            # The last key decides first; what is still equal goes to the first part, training.
            part = int(np.lexsort((-room, -urgency, -needed[:, label]))[0])
            parts[sample] = part
            needed[part, others] -= 1
            room[part] -= 1
            remaining[others] -= 1
    for sample in order[parts[order] < 0].tolist():  # without any label
        part = int(np.argmax(room))
        parts[sample] = part
        room[part] -= 1
    return parts
