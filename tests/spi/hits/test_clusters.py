"""Groups that are there are found, numbered by size, represented by their middles, and named from a few labels."""

import numpy as np
import pytest

from friedel.core.errors import InputError
from friedel.spi.hits.clusters import find_clusters, label_by_hand, label_by_neighbours, label_clusters

CENTRES = np.array([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 8.0, 0.0], [0.0, 9.0, 9.0]])
SIZES = [120, 60, 90, 30]


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(2)
    truth = np.repeat(np.arange(4), SIZES)
    order = rng.permutation(truth.size)
    return (CENTRES[truth] + rng.normal(0, 0.7, (truth.size, 3)))[order], truth[order]


@pytest.mark.parametrize("method", ["k-means", "mixture"])
@pytest.mark.parametrize("asked", [4, None])
def test_groups_are_found_and_numbered_by_size(blobs, method, asked):
    features, truth = blobs
    found = find_clusters(features, asked, method=method)
    assert found.sizes.tolist() == sorted(SIZES, reverse=True)
    pairs = set(zip(truth.tolist(), found.members.tolist(), strict=True))
    assert pairs == {(0, 0), (2, 1), (1, 2), (3, 3)}
    assert np.array_equal(found.nearest(features), found.members)


def test_representatives_are_central_and_borderline_frames_lie_between(blobs):
    features, _ = blobs
    between = (CENTRES[0] + CENTRES[1]) / 2
    found = find_clusters(np.vstack([features, between]), 4)
    assert found.borderline(1).tolist() == [len(features)]
    for group, frames in enumerate(found.representatives(5)):
        assert len(frames) == 5
        assert (found.members[frames] == group).all()
        inside = found.distances[found.members == group, group]
        assert found.distances[frames, group].max() <= np.sort(inside)[4]


def test_names_from_labels_and_for_groups_without_any(blobs):
    features, truth = blobs
    found = find_clusters(features, 4)
    labelled = np.concatenate([np.flatnonzero(truth == kind)[:3] for kind in (0, 1, 2)])
    named = label_clusters(found, labelled, truth[labelled] != 1)
    assert named.counts.tolist() == [3, 3, 3, 0]
    # Group 3 has no label; the group of truth 2 is its nearest.
    assert named.shares == pytest.approx([0.8, 0.8, 0.2, 0.8])
    assert np.array_equal(named.single(found.members) > 0.5, truth != 1)


def test_frames_are_named_by_their_labelled_neighbours(blobs):
    features, truth = blobs
    labelled = np.concatenate([np.flatnonzero(truth == kind)[:3] for kind in range(4)])
    shares = label_by_neighbours(features, labelled, truth[labelled] == 2, neighbours=3)
    assert np.array_equal(shares, (truth == 2).astype(float))
    assert label_by_neighbours(features, [0], [1]) == pytest.approx(1.0)


def test_names_by_hand():
    named = label_by_hand({0: True, 1: False}, 2)
    assert named.single(np.array([1, 0, 0])).tolist() == [0.0, 1.0, 1.0]
    with pytest.raises(InputError, match=r"missing \[1\], unknown \[7\]"):
        label_by_hand({0: True, 7: False}, 2)


def test_nonsense_is_refused(blobs):
    features, _ = blobs
    with pytest.raises(InputError, match="5 groups need"):
        find_clusters(features[:3], 5)
    with pytest.raises(InputError, match="aren't finite"):
        find_clusters(np.full((9, 2), np.nan))
    with pytest.raises(InputError, match="frame 900 is not in the run"):
        label_clusters(find_clusters(features, 2), [900], [1])


def test_one_group_has_no_border(blobs):
    assert find_clusters(blobs[0], 1).borderline(3).size == 0
