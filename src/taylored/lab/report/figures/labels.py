"""Places for names beside a figure, so that none covers another."""

from collections.abc import Sequence


def spread(wanted: Sequence[float], step: float, height: float) -> list[float]:
    """Heights as near to the wanted ones as a distance of `step` between them allows.

    Args:
        wanted: where the names would stand, in ascending order.
        step: the distance from one to the next; smaller where the height has not enough room.
        height: the names stay between 0 and this.

    Example:
        >>> spread([10.0, 11.0, 60.0], 12.0, 100.0)
        [4.5, 16.5, 60.0]
        >>> spread([5.0, 5.0], 12.0, 100.0)
        [0.0, 12.0]
    """
    if len(wanted) > 1:
        step = min(step, height / (len(wanted) - 1))
    # Neighbours that would overlap form a block, which stands where its members are on average.
    blocks: list[tuple[float, int]] = []
    for place in wanted:
        blocks.append((_kept(place, 1, step, height), 1))
        while len(blocks) > 1 and _start(blocks[-1], step) - _end(blocks[-2], step) < step:
            (one, count), (other, more) = blocks[-2:]
            middle = (one * count + other * more) / (count + more)
            blocks[-2:] = [(_kept(middle, count + more, step, height), count + more)]
    return [
        _start((middle, count), step) + index * step
        for middle, count in blocks
        for index in range(count)
    ]


def _start(block: tuple[float, int], step: float) -> float:
    middle, count = block
    return middle - step * (count - 1) / 2


def _end(block: tuple[float, int], step: float) -> float:
    middle, count = block
    return middle + step * (count - 1) / 2


def _kept(middle: float, count: int, step: float, height: float) -> float:
    """The middle of a block, moved so that all of it stays inside."""
    half = step * (count - 1) / 2
    return min(max(middle, half), height - half)
