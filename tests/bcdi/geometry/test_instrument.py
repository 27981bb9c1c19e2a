"""Instrument records name the bad value."""

import pytest

from friedel.bcdi.geometry.instrument import Beam, Circle, Detector
from friedel.core.errors import InputError


def test_a_beam_knows_its_wavelength():
    assert Beam(photon_energy_ev=12398.42).wavelength_angstrom == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("energy", [0.0, -9000.0, float("nan")])
def test_an_energy_that_is_not_positive_is_refused(energy):
    with pytest.raises(InputError, match="photon_energy_ev must be positive"):
        Beam(photon_energy_ev=energy)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"distance_m": 0.0}, "distance_m"),
        ({"pixel_size_m": (55e-6, -1.0)}, r"pixel_size_m \(x\)"),
        ({"y_axis": "up"}, "'up'"),
    ],
)
def test_a_detector_that_cannot_be_is_refused(change, words):
    good = {"pixel_size_m": (55e-6, 55e-6), "distance_m": 0.5, "direct_beam_yx": (128.0, 128.0)}
    with pytest.raises(InputError, match=words):
        Detector(**{**good, **change})


def test_a_circle_turns_about_a_named_axis():
    with pytest.raises(InputError, match=r"circle 'theta': axis 'w\+' is not one of x\+"):
        Circle("theta", "w+")
