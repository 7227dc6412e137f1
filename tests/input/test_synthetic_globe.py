import numpy as np

from gair_jax.input.synthetic import globe


def test_cities_lie_well_inside_one_utm_zone():
    found = globe.cities(0, 200)
    lon = np.array([city.lonlat[0] for city in found])
    lat = np.array([city.lonlat[1] for city in found])
    within = (lon + 180) % 6
    assert within.min() >= 1.5 and within.max() <= 4.5
    assert lat.min() >= -52 and lat.max() <= 62
    assert len({city.name for city in found}) == 200


def test_more_cities_do_not_move_the_first():
    for a, b in zip(globe.cities(3, 5), globe.cities(3, 9), strict=False):
        assert a.name == b.name
        np.testing.assert_array_equal(a.lonlat, b.lonlat)


def test_urbanity_is_a_gaussian_of_the_distance():
    city = globe.City('x', np.array([9.0, 60.0]), 4.0)
    # 4 km north and 4 km east at 60 degrees, where a degree of longitude is half as long.
    north, east = 4.0 / 111.2, 4.0 / 55.6
    lonlat = city.lonlat + np.array([[0, 0], [0, north], [east, 0]])
    got = globe.urbanity([city], lonlat)
    np.testing.assert_allclose(got, [1, np.exp(-1), np.exp(-1)], rtol=1e-5)


def test_place_labels_are_smooth_and_vary():
    cities = globe.cities(0, 20)
    here = np.array([city.lonlat for city in cities]) + 0.02
    near = here + 1e-5
    a, b = (globe.place_regressions(0, cities, x) for x in (here, near))
    assert a.shape == (20, len(globe.REGRESSIONS)) and a.dtype == np.float32
    np.testing.assert_allclose(a, b, atol=0.02)
    assert np.all(a.std(0) > 0.1)


def test_species_have_ranges():
    rng = np.random.default_rng(0)
    centres = np.stack([rng.uniform(-180, 180, 60), rng.uniform(-50, 60, 60)], -1)
    near = centres[:, None] + rng.uniform(-0.05, 0.05, (60, 20, 2))
    classes = globe.place_class(0, near)
    assert len(np.unique(classes)) == len(globe.SPECIES)
    # Within some kilometres one species prevails; over the globe none does.
    share = [np.bincount(row, minlength=8).max() / 20 for row in classes]
    assert np.mean(share) > 0.7
    assert np.bincount(classes.ravel()).max() < 0.5 * classes.size
