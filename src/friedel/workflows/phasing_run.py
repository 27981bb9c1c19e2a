"""One crystal phased by one method and judged against its truth."""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import FriedelError
from friedel.workflows.phasing_conditions import Case
from friedel.workflows.phasing_methods import Answer, Methods
from friedel.workflows.phasing_results import Outcome
from friedel.workflows.phasing_truth import against_truth, filled

Object: TypeAlias = NDArray[np.complex64]


def phase_case(methods: Methods, name: str, case: Case, number: int) -> tuple[Outcome, Object | None]:
    """Phase a crystal by a method, and compare the object with the truth.

    Parameters
    ----------
    methods : Methods
        What can be run.
    name : str
        The method.
    case : Case
        Crystal and pattern.
    number : int
        Number of the crystal; the method's seed as well.

    Returns
    -------
    outcome : Outcome
        Its figures; of a pattern that the method refuses, the reason.
    aligned : (z, y, x) complex64 or None
        The object in the truth's frame.
    """
    try:
        answer = methods.answer(name, case.pattern, number)
    except FriedelError as error:
        return Outcome(method=name, number=number, refused=str(error)), None
    return _judged(name, number, answer, case)


def _judged(name: str, number: int, answer: Answer, case: Case) -> tuple[Outcome, Object]:
    judged = against_truth(answer.object, case.truth)
    outcome = Outcome(
        method=name,
        number=number,
        correlation=judged.correlation,
        phase_error_rad=judged.phase_error_rad,
        strain_error=_finite(judged.strain_error),
        chi=_finite(answer.chi),
        chi_free=_finite(answer.chi_free),
        voxels=answer.voxels,
        true_voxels=int(filled(case.truth).sum()),
        trusted=answer.trusted,
        seconds=answer.seconds,
        cpu_seconds=answer.cpu_seconds,
    )
    return outcome, judged.aligned


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
