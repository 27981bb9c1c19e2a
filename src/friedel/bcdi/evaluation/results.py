"""Phase one crystal by one method, judge it, and keep what came out: figures as JSON, and objects to be shown.

A figure that is there and was made from the same crystal by the same method is never made again: a killed evaluation
goes on where it was.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.bcdi.evaluation.conditions import Case, Condition
from friedel.bcdi.evaluation.methods import Answer, Methods
from friedel.bcdi.evaluation.truth import against_truth, filled
from friedel.core.errors import FriedelError
from friedel.core.files.atomic import replacing


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One crystal phased by one method.

    Attributes
    ----------
    method : str
        Its name.
    number : int
        Which crystal of the condition.
    correlation, phase_error_rad, strain_error : float or None
        Against the truth; None where there is none, or the method failed.
    chi, chi_free : float or None
        Misfit on measured voxels, and on those held out of the fit.
    voxels, true_voxels : int
        Size of the support, and of the crystal.
    trusted : bool or None
        The method's own verdict.
    seconds, cpu_seconds : float
        Wall and CPU time.
    refused : str
        Why the method gave no object; empty if it did.
    """

    method: str
    number: int
    correlation: float | None = None
    phase_error_rad: float | None = None
    strain_error: float | None = None
    chi: float | None = None
    chi_free: float | None = None
    voxels: int = 0
    true_voxels: int = 0
    trusted: bool | None = None
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    refused: str = ""


class ResultFolder:
    """The kept outcomes of one evaluation.

    Parameters
    ----------
    folder : Path
        Where they lie; made when first needed.
    seed : int
        The evaluation's.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.seed = folder, seed

    def read(self, condition: Condition, number: int, method: str, identity: str) -> Outcome | None:
        """Return a kept outcome; None if it isn't there, is damaged, or was made from something else.

        Parameters
        ----------
        condition : Condition
            Under which it was phased.
        number : int
            Which of the condition's crystals.
        method : str
            Name of the method.
        identity : str
            Stands for all that the outcome depends on.
        """
        path = self._path(condition, number, method)
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            if values.pop("key") != self._key(condition, number, method, identity):
                return None
            found = Outcome(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return None if _shown(condition, number) and not self._whole(path, found) else found

    def write(
        self, condition: Condition, outcome: Outcome, identity: str, obj: NDArray[np.complex64] | None = None
    ) -> None:
        """Keep an outcome, and its object if the condition shows this crystal.

        Parameters
        ----------
        condition : Condition
            Under which it was phased.
        outcome : Outcome
            What the method gave.
        identity : str
            Stands for all that the outcome depends on.
        obj : (z, y, x) complex64, optional
            The object found.
        """
        path = self._path(condition, outcome.number, outcome.method)
        path.parent.mkdir(parents=True, exist_ok=True)
        if obj is not None and _shown(condition, outcome.number):
            with replacing(path.with_suffix(".npy")) as unfinished, unfinished.open("wb") as file:
                np.save(file, obj)
        key = self._key(condition, outcome.number, outcome.method, identity)
        with replacing(path) as unfinished:
            text = json.dumps({"key": key, **asdict(outcome)}, indent=1, ensure_ascii=False, allow_nan=False)
            unfinished.write_text(text, encoding="utf-8")

    def object_of(self, condition: Condition, number: int, method: str) -> NDArray[np.complex64] | None:
        """Return a kept object ``(z, y, x)``, in the truth's frame; None if there is none."""
        path = self._path(condition, number, method).with_suffix(".npy")
        return np.load(path, allow_pickle=False) if path.is_file() else None

    def _whole(self, path: Path, outcome: Outcome) -> bool:
        return bool(outcome.refused) or path.with_suffix(".npy").is_file()

    def _path(self, condition: Condition, number: int, method: str) -> Path:
        slug = re.sub(r"[^a-z0-9.]+", "-", method.lower()).strip("-")
        return self.folder / condition.name / f"{number:03d}-{slug}.json"

    def _key(self, condition: Condition, number: int, method: str, identity: str) -> str:
        settled = {name: value for name, value in asdict(condition).items() if name not in ("crystals", "pictured")}
        parts: Sequence[object] = [__version__, settled, number, method, identity, self.seed]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _shown(condition: Condition, number: int) -> bool:
    return condition.pictured and number == 0


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
