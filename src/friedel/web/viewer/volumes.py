"""The results being looked at: fields by key, the latest few kept; also one moved onto another, and their difference.

Keys: "12" is result 12 of the table; "12~15" is 15 moved onto 12's grid; "12-15" is 12 less that.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from friedel.bcdi.show.fields import Field, FieldSet, read_fields
from friedel.bcdi.show.page import difference
from friedel.bcdi.strain.align import Alignment, align
from friedel.core.errors import InputError
from friedel.web.viewer.catalogue import Entry

_KEPT = 12
"""Results in memory: a 100³ crystal with six fields is 24 MB."""


class Shelf:
    """Gives the fields of results by key; safe to be asked from several threads.

    Parameters
    ----------
    entries : sequence of Entry
        The table's results.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = tuple(entries)
        self._kept: OrderedDict[str, FieldSet] = OrderedDict()
        self._lock = threading.Lock()

    def fields(self, key: str) -> FieldSet:
        """Return the fields behind a key.

        Raises
        ------
        InputError
            If there is no such result, or its file can't be read.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = self._made(key)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made

    def _made(self, key: str) -> FieldSet:
        for sign in "~-":
            first, found, second = key.partition(sign)
            if found:
                if sign == "~":
                    return moved_onto(self.fields(second), self.fields(first))
                return difference(self.fields(first), self.fields(f"{first}~{second}"))
        if not key.isdigit() or int(key) >= len(self.entries):
            raise InputError(f"no result {key!r}: there are {len(self.entries)}")
        entry = self.entries[int(key)]
        if entry.kind != "crystal":
            raise InputError(f"{entry.name} is a classified run, not a crystal; open its report")
        return read_fields(entry.path, title=entry.name)


def moved_onto(second: FieldSet, first: FieldSet) -> FieldSet:
    """Return a result moved, turned and if need be inverted onto another one's grid.

    Raises
    ------
    InputError
        If lengths are known for one of them only, or an object is empty.
    """
    if second.unit != first.unit:
        raise InputError(f"can't compare: {first.title} is in {first.unit}, {second.title} in {second.unit}")
    shape = first.inside.shape
    how = align(_object(second), _object(first), scale=first.step / second.step)
    phase = how.field(_object(second), shape)
    inside = how.scalar(second.inside.astype(np.float32), shape) > 0.5
    fields = [
        replace(item, values=_moved(item, how, shape, phase, inside)) for item in second.fields if not item.on_pattern
    ]
    turned = ", the twin" if how.inverted else ""
    about = {"correlation": f"{how.correlation:.4f}", "turned by": f"{how.angle_deg:.2f}°{turned}", **second.about}
    return replace(
        second, fields=tuple(fields), inside=inside, step=first.step, about=about, title=f"{second.title} (aligned)"
    )


def _object(fields: FieldSet) -> np.ndarray:
    amplitude, phase = fields.named("amplitude").values, fields.named("phase").values
    inside = np.isfinite(phase)
    return np.asarray(np.where(inside, amplitude * np.exp(1j * np.where(inside, phase, 0)), 0), dtype=np.complex64)


def _moved(item: Field, how: Alignment, shape: tuple[int, ...], phase: np.ndarray, inside: np.ndarray) -> np.ndarray:
    if item.name == "phase":
        return np.where(inside, np.angle(phase), np.nan).astype(np.float32)
    return how.scalar(item.values, shape, odd=item.name == "displacement")
