"""The comparison with the truth: no error in the truth itself, its shift or its twin; an error where there is one."""

import numpy as np
import pytest

from friedel.bcdi.evaluation.truth import truth_figures
from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.phasing.ambiguities import twin
from friedel.bcdi.records import Reconstruction
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.options import StrainOptions
from friedel.core.errors import InputError

SHAPE = (48, 48, 48)


@pytest.fixture(scope="module")
def simulated():
    return simulate_demo_scan(seed=0, shape=(48, 64, 64), n_photons=1e6)


@pytest.fixture(scope="module")
def as_reconstruction(simulated, finished):
    made = finished()

    def wrap(obj):
        support = np.abs(obj) > 0.1 * np.abs(obj).max()
        return Reconstruction(
            object=obj, support=support, quality=made.quality, provenance=made.provenance, grid=simulated.geometry.grid
        )

    return wrap


def _figures(simulated, reconstruction):
    return truth_figures(simulated, reconstruction, analyse(reconstruction), StrainOptions())


@pytest.mark.parametrize("change", [lambda obj: obj, twin, lambda obj: 3j * np.roll(obj, (2, -1, 3), axis=(0, 1, 2))])
def test_what_intensities_cannot_tell_is_no_error(simulated, as_reconstruction, change):
    truth = simulated.object(simulated.geometry.grid, SHAPE)
    figures = _figures(simulated, as_reconstruction(change(truth)))
    assert figures["correlation with the truth"] == pytest.approx(1.0, abs=1e-4)
    assert figures["phase error inside (rad rms)"] < 0.01
    assert figures["strain error (10⁻³ rms)"] < 0.02 * figures["true strain (10⁻³ rms)"]


def test_an_error_is_found_in_its_size(simulated, as_reconstruction):
    truth = simulated.object(simulated.geometry.grid, SHAPE)
    noise = np.random.default_rng(0).normal(0.0, 0.2, SHAPE)
    figures = _figures(simulated, as_reconstruction((truth * np.exp(1j * noise)).astype(np.complex64)))
    assert figures["phase error inside (rad rms)"] == pytest.approx(0.2, rel=0.1)
    assert figures["correlation with the truth"] == pytest.approx(np.exp(-0.5 * 0.2**2), abs=3e-3)


def test_without_geometry_there_is_no_comparison(simulated, finished):
    made = finished(geometry=None)
    with pytest.raises(InputError, match="has no geometry"):
        truth_figures(simulated, made, analyse(made), StrainOptions())
