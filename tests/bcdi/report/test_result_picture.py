"""The picture for the logbook."""

import numpy as np
from matplotlib.image import imread

from friedel.bcdi.report.surface import save_picture
from friedel.bcdi.strain.analysis import analyse


def test_the_surface_stands_above_the_slices(finished, tmp_path):
    made = finished()
    picture = imread(save_picture(tmp_path / "crystal.png", made, analyse(made)))
    rows, columns, _ = picture.shape
    assert rows > columns / 2
    ink = (picture[..., :3].min(axis=2) < 0.9).mean(axis=1)
    assert (ink[: rows // 3] > 0).any()
    assert (ink[-rows // 3 :] > 0).any()
    assert np.all(picture[0, 0] == 1.0)
