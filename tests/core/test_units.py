"""Energy and wavelength, against a textbook value."""

import pytest

from friedel.core.units import photon_energy_ev, wavelength_angstrom


def test_copper_k_alpha():
    # Cu Kα1: 8047.78 eV, 1.540593 Å (International Tables C, 4.2.2).
    assert wavelength_angstrom(8047.78) == pytest.approx(1.540593, abs=2e-5)


def test_the_two_conversions_undo_each_other():
    assert photon_energy_ev(wavelength_angstrom(9000.0)) == pytest.approx(9000.0)
