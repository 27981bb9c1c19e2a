"""What every test shares: the folder of real measurements, absent outside the developers' machines."""

from pathlib import Path

import pytest

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real measurements beside the checkout, or skip and say so."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"real measurements are not beside the checkout ({REAL_DATA.name}/)")
    return REAL_DATA
