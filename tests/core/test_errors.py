"""A missing extra ends in the line that installs it."""

from friedel.core.errors import FriedelError, InputError, MissingDependencyError, PlanError


def test_a_missing_package_says_how_to_get_it():
    error = MissingDependencyError("pyvista", "view", "write VTI files")
    assert str(error) == "pyvista is needed to write VTI files. Install it with: pip install 'friedel[view]'"
    assert isinstance(error, ImportError)


def test_every_error_is_a_friedel_error_and_a_usual_one():
    for kind in (InputError, PlanError):
        assert issubclass(kind, FriedelError)
        assert issubclass(kind, ValueError)
