"""A photo against places of the Earth: the mesh, its summits and its areas."""

import numpy as np
import pytest

from gair_jax.config import InputError
from gair_jax.serve import earth
from gair_jax.serve.gallery import unit64


def test_the_mesh_fills_its_bounds_with_centres_from_the_north_west():
    found = earth.mesh((10, 40, 20, 44), 2.0)
    assert found.shape == (2, 5) and found.step == (2.0, 2.0)
    np.testing.assert_array_equal(found.lonlat[0, 0], [11, 43])
    np.testing.assert_array_equal(found.lonlat[-1, -1], [19, 41])
    assert earth.mesh(earth.EARTH, 1.0).shape == (180, 360)
    # A spacing that does not divide the bounds is rounded, never cut off.
    uneven = earth.mesh((0, 0, 10, 10), 3.0)
    assert uneven.shape == (3, 3) and uneven.step[0] == pytest.approx(10 / 3)


def test_areas_are_those_of_the_sphere():
    found = earth.mesh(earth.EARTH, 1.0)
    north = np.deg2rad(90 - np.arange(181))
    bands = (np.sin(north[:-1]) - np.sin(north[1:])) / 2  # of a band of latitude, of the sphere
    np.testing.assert_allclose(found.area.sum(axis=1), bands, rtol=1e-4)
    heat = np.where(found.lonlat[..., 1] > 30, 1.0, 0.0)
    assert earth.share_above(heat, found, 0.5) == pytest.approx(0.25, rel=1e-3)


@pytest.mark.parametrize(
    ('bounds', 'spacing', 'sentence'),
    [
        ((20, 40, 10, 44), 1, 'bounds: expected LEFT,BOTTOM,RIGHT,TOP'),
        ((10, 44, 20, 40), 1, 'bounds: expected'),
        ((-190, 40, 20, 44), 1, 'bounds: expected'),
        ((10, 40, 20), 1, 'bounds: expected'),
        ((10, float('nan'), 20, 44), 1, 'bounds: expected'),
        ((10, 40, 20, 44), 0, 'mesh-deg: expected more than 0'),
        ((10, 40, 20, 44), 5, 'at most a side of the bounds'),
        ((10, 40, 20, 44), float('nan'), 'mesh-deg: expected'),
        (earth.EARTH, 0.01, 'at least 0.127 degrees'),
    ],
)
def test_a_mesh_that_cannot_be_is_refused(bounds, spacing, sentence):
    with pytest.raises(InputError, match=sentence):
        earth.mesh(bounds, spacing)


def test_the_spacing_that_is_named_would_do():
    rows, columns = earth.mesh(earth.EARTH, 0.128).shape
    assert rows * columns <= earth.MOST_CELLS


def test_similarity_is_the_cosine_with_each_place(tiny, monkeypatch):
    places, told = earth.mesh((0, 0, 30, 20), 5.0), []
    monkeypatch.setattr(earth, '_BLOCK', 7)
    photos = unit64(np.random.default_rng(0).normal(size=(2, tiny.width('location', 'common'))))
    found = earth.similarity(tiny, photos, places, told.append)
    assert found.shape == (2, 4, 6) and told == [7, 14, 21, 24]
    lonlat = places.lonlat.reshape(-1, 2)
    expected = photos @ tiny.encode_location(lonlat, normalize=True).T
    np.testing.assert_allclose(found.reshape(2, -1), expected, atol=1e-6)


def test_summits_are_the_cells_that_no_neighbour_exceeds():
    places = earth.mesh((0, 0, 40, 30), 10.0)
    heat = np.array([[0.9, 0.1, 0.1, 0.8], [0.8, 0.1, 0.1, 0.1], [0.1, 0.1, 0.3, 0.2]], np.float32)
    found = earth.summits(heat, places, 5)
    assert [answer.lonlat for answer in found] == [(5, 25), (35, 25), (25, 5)]
    assert [answer.score for answer in found] == pytest.approx([0.9, 0.8, 0.3])
    assert len(earth.summits(heat, places, 1)) == 1


def test_around_the_earth_the_first_column_neighbours_the_last():
    places = earth.mesh(earth.EARTH, 60.0)
    heat = np.zeros(places.shape, np.float32)
    heat[1, 0], heat[1, -1] = 0.9, 0.8
    assert [round(a.score, 3) for a in earth.summits(heat, places, 9)][:2] == [0.9, 0.0]
