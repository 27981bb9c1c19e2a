"""Pictures of an evaluation of phasing: true and found crystals side by side, and methods over conditions."""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.bcdi.evaluation.tables import ByCondition, correlations, success
from friedel.bcdi.evaluation.truth import Lattice, crystal_of, filled, gold_111, strain_of
from friedel.bcdi.figures.comparison import Row, comparison_figure, methods_figure
from friedel.core.figures import AMPLITUDE_MAP, PHASE_MAP, SIGNED_MAP

Object = NDArray[np.complex64]
_MARGIN = 3  # voxels around the crystal that are shown
_ROBUST = 99.0  # percentile at which the colours end: single surface voxels have far larger strains


def beside_truth_figure(truth: Object, found: Mapping[str, Object], lattice: Lattice | None = None) -> Figure:
    """Draw the true crystal and those found: amplitude, phase and strain in one slice, one colour scale a row.

    Parameters
    ----------
    truth : (z, y, x) complex64
        The true object.
    found : mapping of str to (z, y, x) complex64
        Objects by method, in the truth's frame.
    lattice : Lattice, optional
        For the strain; None takes `gold_111`.
    """
    lattice = lattice or gold_111((truth.shape[0], truth.shape[1], truth.shape[2]))
    inside = crystal_of(truth)
    objects = {"truth": truth, **{name: _scaled(obj, truth) for name, obj in found.items()}}
    strains = [1e3 * strain_of(obj, inside, lattice) for obj in objects.values()]
    limit = float(np.nanpercentile(np.abs(strains[0][inside]), _ROBUST)) or 1.0
    return _drawn(objects, truth, strains=Row("strain (10⁻³)", strains, SIGNED_MAP, (-limit, limit)))


def beside_figure(found: Mapping[str, Object]) -> Figure:
    """Draw crystals found by several methods: amplitude and phase in one slice, one colour scale a row.

    Parameters
    ----------
    found : mapping of str to (z, y, x) complex64
        Objects by method, in one frame.
    """
    first = next(iter(found.values()))
    return _drawn({name: _scaled(obj, first) for name, obj in found.items()}, first)


def _drawn(objects: Mapping[str, Object], reference: Object, strains: Row | None = None) -> Figure:
    window, middle = _window(reference)
    bulk = float(np.median(np.abs(reference[crystal_of(reference)])))
    amplitudes = [np.abs(obj) / bulk for obj in objects.values()]
    phases = [np.where(_bright(obj, bulk), np.angle(obj), np.nan) for obj in objects.values()]
    rows = [
        Row("amplitude", amplitudes, AMPLITUDE_MAP, (0.0, 1.2)),
        Row("phase (rad)", phases, PHASE_MAP, (-math.pi, math.pi)),
        *([] if strains is None else [strains]),
    ]
    cut = [replace(row, volumes=[volume[window] for volume in row.volumes]) for row in rows]
    return comparison_figure(list(objects), cut, index=middle)


def over_conditions_figure(found: ByCondition) -> Figure:
    """Draw median correlation and success of every method over the conditions."""
    methods = list(next(iter(found.values())))
    medians = {
        name: [float(np.median(correlations(by[name]))) if by[name] else math.nan for by in found.values()]
        for name in methods
    }
    return methods_figure(
        list(found), medians, {name: [success(by[name]) for by in found.values()] for name in methods}
    )


def _window(truth: Object) -> tuple[tuple[slice, ...], int]:
    """Return the box around the crystal with a margin, and the index of its middle slice in that box."""
    where = np.argwhere(filled(truth))
    low = np.maximum(where.min(axis=0) - _MARGIN, 0)
    high = np.minimum(where.max(axis=0) + _MARGIN + 1, truth.shape)
    window = tuple(slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return window, round(float(where[:, 0].mean())) - int(low[0])


def _scaled(obj: Object, truth: Object) -> Object:
    """Return the object with the truth's norm: photons alone decide the scale."""
    return np.asarray(obj * (np.linalg.norm(truth) / max(float(np.linalg.norm(obj)), 1e-30)), dtype=np.complex64)


def _bright(obj: Object, bulk: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(obj) > 0.3 * bulk)
