"""The doctor sees what is there and says how to get what isn't."""

import json
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as genuine

from friedel.core.machine import doctor


def test_a_complete_installation_shows_its_versions():
    health = doctor.examine()
    assert health.versions["torch"] == genuine("torch")
    assert health.cpu_count >= 1
    assert json.loads(json.dumps(health.as_dict()))["versions"]["friedel"] == health.versions["friedel"]


def test_a_missing_package_comes_with_the_line_that_installs_it(monkeypatch):
    def absent(name):
        if name in ("pyvista", "scikit-learn"):
            raise PackageNotFoundError(name)
        return genuine(name)

    monkeypatch.setattr(doctor, "version", absent)
    health = doctor.examine()
    assert any("pip install 'friedel[view]'" in line and "pyvista" in line for line in health.advice)
    assert any(line == "scikit-learn is missing. Install it with: pip install scikit-learn" for line in health.advice)
    assert ("pyvista", "missing") in health.lines()
