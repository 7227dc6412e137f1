import jax
import numpy as np
import pytest
from PIL import Image

import gair_jax
from gair_jax import sensors
from gair_jax.config import InputError
from gair_jax.input import transforms
from gair_jax.input.pipeline import Pipeline
from gair_jax.serve.embedder import in_batches
from tests.builders import scenes
from tests.serve.conftest import saved
from tests.train.tiny import tiny_config

LONLAT = np.array([scenes.inside(n) for n in range(5)])
BOX = (9.0, 48.0, 9.024, 47.98)  # of the tile: left, top, right, bottom, EPSG:4326
CLOSE = {'rtol': 1e-5, 'atol': 2e-5}


def stored(bands=12):
    """The pixels of the tile, rows x columns x bands."""
    return np.moveaxis(scenes.pixels(bands), 0, -1)


def test_three_lines_make_embeddings(tiny_checkpoint, tile, photos):
    model = gair_jax.load(tiny_checkpoint)
    localized = model.query(tile, LONLAT)
    gallery = model.encode_sv([str(path) for path in photos])
    places = model.encode_location(LONLAT)
    for found in (localized, gallery, places):
        assert found.shape == (5, 16) and found.dtype == np.float32 and np.isfinite(found).all()
    assert len(np.unique(localized.round(4), axis=0)) == 5


@pytest.mark.slow
def test_pixels_are_prepared_as_training_prepares_them(toy_set, tmp_path):
    """The pipeline's batch and the served model see the same photos and the same windows."""
    folder, name, variant = toy_set
    config = tiny_config(folder, name, variant)
    config.input.rs.placement = 'whole'
    model = gair_jax.load(saved(config, tmp_path / 'model'))
    pipeline = Pipeline(config, 'train', train=False)
    batch = pipeline.examples_at(range(3))
    records = [pipeline._examples.photos[i] for i in range(3)]
    for i, record in enumerate(records):
        pixels = transforms.decode_photo(record.photo)
        np.testing.assert_array_equal(model.photo_input(pixels), batch['sv'][i])
    expected = jax.jit(model.model.apply)(model.params, batch)
    photos = [transforms.decode_photo(record.photo) for record in records]
    np.testing.assert_allclose(model.encode_sv(photos), expected['sv'], **CLOSE)
    lonlat = [record.lonlat for record in records]
    np.testing.assert_allclose(model.encode_location(lonlat), expected['location'], **CLOSE)


def test_a_whole_tile_is_queried_as_the_model_queries_it(tiny_release, tile):
    model, sensor = tiny_release, tiny_release.contracts['rs']
    bands = stored()[..., sensor.select(sensors.BAND_ORDERS[12])]
    rs = transforms.rs_input(bands, sensor, 32, model.config.input.rs.kernel)
    xy = 2 * (LONLAT - BOX[:2]) / (BOX[2] - BOX[0], BOX[3] - BOX[1]) - 1

    @jax.jit
    def both(params, rs, xy):
        encoded = model.model.encode_rs(params, rs)
        return encoded['pooled'], model.model.query(params, encoded['patch_grid'], xy)

    pooled, expected = both(model.params, rs[None], xy[None].astype(np.float32))
    np.testing.assert_allclose(model.query(tile, LONLAT), expected[0], **CLOSE)
    np.testing.assert_allclose(model.encode_rs([tile])[0], pooled[0], **CLOSE)


@pytest.mark.parametrize('bands', [12, 10])
def test_an_array_with_its_box_is_the_geotiff(tiny, tile, bands):
    pixels = stored()[..., sensors.contract('sentinel2_10').select(sensors.BAND_ORDERS[12])]
    pixels = stored() if bands == 12 else pixels
    found = tiny.query(pixels, LONLAT, BOX, 'EPSG:4326')
    np.testing.assert_allclose(found, tiny.query(tile, LONLAT), **CLOSE)
    np.testing.assert_allclose(tiny.encode_rs([pixels]), tiny.encode_rs([tile]), **CLOSE)


def test_a_batch_gives_what_each_gives_alone(tiny, photos, tile):
    together = tiny.encode_sv(photos)
    alone = np.concatenate([tiny.encode_sv([path]) for path in photos])
    np.testing.assert_allclose(together, alone, **CLOSE)
    alone = np.concatenate([tiny.query(tile, LONLAT[i : i + 1]) for i in range(5)])
    np.testing.assert_allclose(tiny.query(tile, LONLAT), alone, **CLOSE)


def test_windows_without_data_do_not_count_in_a_tile(tiny):
    seen = stored(10)[:16, :16]
    half = np.concatenate([seen, np.zeros_like(seen)], axis=1)
    grid = tiny.grid(half.shape[:2])
    inside = [half[:, col : col + 16] for _, col in map(grid.offset, range(len(grid)))]
    expected = np.mean([tiny.encode_rs([w])[0] for w in inside if w.any()], axis=0)
    np.testing.assert_allclose(tiny.encode_rs([half])[0], expected, **CLOSE)
    with pytest.raises(InputError, match='tile: expected pixels with data, found none'):
        tiny.encode_rs([np.zeros_like(seen)])


@pytest.mark.parametrize('n', [0, 1, 31, 32, 33, 100])
def test_batches_keep_order_and_number(n):
    shapes = []

    def run(x):
        shapes.append(len(x))
        return x * 2

    found = in_batches(range(n), lambda i: np.full(3, i, np.float32), run, 3, False)
    np.testing.assert_array_equal(found, 2.0 * np.arange(n)[:, None].repeat(3, 1))
    assert all(size <= 32 and size & (size - 1) == 0 for size in shapes)


def test_a_photo_may_be_a_path_an_image_or_an_array(tiny, photos):
    image = Image.open(photos[0])
    forms = [photos[0], str(photos[0]), image, np.asarray(image)]
    found = tiny.encode_sv(forms)
    np.testing.assert_allclose(found, found[:1].repeat(4, 0), **CLOSE)


def test_normalize_scales_to_unit_length(tiny, photos, tile):
    for call in (
        lambda **how: tiny.encode_sv(photos, **how),
        lambda **how: tiny.encode_rs([tile], **how),
        lambda **how: tiny.encode_location(LONLAT, **how),
        lambda **how: tiny.query(tile, LONLAT, **how),
    ):
        plain, unit = call(), call(normalize=True)
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-6)
        length = np.linalg.norm(plain, axis=1, keepdims=True)
        assert (np.abs(length - 1) > 1e-3).all()
        np.testing.assert_allclose(unit * length, plain, rtol=1e-5, atol=1e-6)


def test_space_common_is_the_projection_of_space_encoder(tiny_release, photos):
    own = tiny_release.encode_sv(photos, space='encoder')
    params = tiny_release.params['projections']['sv']
    expected = own @ np.asarray(params['kernel']) + np.asarray(params['bias'])
    np.testing.assert_allclose(tiny_release.encode_sv(photos), expected, **CLOSE)
    # No projection on the side of places.
    np.testing.assert_array_equal(
        tiny_release.encode_location(LONLAT), tiny_release.encode_location(LONLAT, space='encoder')
    )


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda m: m.encode_location([[48.0, 100.0]]), 'look swapped'),
        (lambda m: m.encode_location([[np.nan, 1.0]]), 'places: expected lon'),
        (lambda m: m.encode_location([1.0, 2.0]), r'expected \[n, 2\]'),
        (lambda m: m.encode_location(LONLAT, space='shared'), 'space: expected common or encoder'),
        (lambda m: m.encode_sv(['none.jpg']), 'photo unreadable: none.jpg'),
        (
            lambda m: m.encode_sv([np.zeros((4, 4, 3))]),
            r'expected uint8 .*found float64 \(4, 4, 3\)',
        ),
        (lambda m: m.encode_sv([np.zeros((4, 4), np.uint8)]), r'found uint8 \(4, 4\)'),
        (lambda m: m.query(stored(), LONLAT), 'no georeference: tile has none'),
        (lambda m: m.query(stored(), LONLAT[:, ::-1], BOX, 'EPSG:4326'), 'swapped it would be'),
        (lambda m: m.query(stored(), LONLAT + 1, BOX, 'EPSG:4326'), 'is outside its tile'),
        (
            lambda m: m.query(stored(), LONLAT, (BOX[2], BOX[1], BOX[0], BOX[3]), 'EPSG:4326'),
            'expected left < right',
        ),
        (lambda m: m.query(stored(), LONLAT, BOX, 'EPSG:0'), 'expected a name like'),
        (lambda m: m.encode_rs([stored(7)]), 'expected 10, 12 or 13 Sentinel-2 bands, found 7'),
        (lambda m: m.encode_rs([stored()[:8]]), 'at least 16 x 16 pixels'),
        (lambda m: m.encode_rs(['none.tif']), 'tile unreadable: none.tif'),
    ],
)
def test_what_cannot_be_embedded_is_told_in_words(tiny, call, message):
    with pytest.raises(InputError, match=message):
        call(tiny)


def test_a_model_without_an_encoder_says_which_it_has(tiny_place, photos, tile):
    assert tiny_place.encode_location(LONLAT).shape == (5, 16)
    with pytest.raises(InputError, match="encoder 'sv', found location"):
        tiny_place.encode_sv(photos)
    with pytest.raises(InputError, match="encoder 'rs', found location"):
        tiny_place.query(tile, LONLAT)


def test_the_photo_input_of_network_input_is_what_encode_sv_makes(tiny, photos):
    made = [tiny.photo_input(path) for path in photos]
    np.testing.assert_array_equal(tiny.encode_inputs('sv', made), tiny.encode_sv(photos))
    assert jax.tree.all(jax.tree.map(lambda x: x.dtype == np.float32, made))
