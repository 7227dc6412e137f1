"""Windows over loopback: every pixel recomputed from where it is, at the cost that was promised."""

import numpy as np
import pyproj
import pytest
import rasterio

from gair_jax.builders.streetscapes import scenes_cog, scenes_stac
from gair_jax.builders.streetscapes.layouts import STEP, Tile
from gair_jax.builders.streetscapes.scenes_source import BANDS, SourceError, UnreadableError
from tests.standins import catalogue, scene_files
from tests.standins.scene_files import Scene

LEFT, TOP = 499980.0, 5400000.0
DATE = '2020-05-01'
PLACES = ((LEFT, '32UMV'), (419980.0, '32ULV'))


def tile(left=LEFT + 1000, top=TOP - 1400, width=130, height=96, epsg=32632):
    return Tile('t', f'EPSG:{epsg}', (10.0, 0.0, left, 0.0, -10.0, top), width, height, '')


def degrees(lon=7.93, lat=48.735, width=100, height=80):
    """A tile of the release layout: whole pixels of a global grid in degrees."""
    column, row = np.floor(lon / STEP), np.ceil(lat / STEP)
    return Tile(
        'z', 'EPSG:4326', (STEP, 0.0, column * STEP, 0.0, -STEP, row * STEP), width, height, ''
    )


def source_of(served, **fields):
    known = scenes_stac.Preset(url=served.url, collection='sentinel-2-l2a', **fields)
    return scenes_stac.StacSource(known, delay=0.002)


def window(source, item, where):
    return np.stack([source.read(item, band, where).values for band in BANDS])


def only(source, where):
    (item,) = source.search(where.lonlat_box, '2020-01-01', '2020-12-31', 20.0)
    return item


def truth(where, *, move=(0.0, 0.0), date=DATE):
    """The window from the tile's transform alone; `move` in pixels right and down."""
    x, y = np.meshgrid(np.arange(where.width) + 0.5, np.arange(where.height) + 0.5)
    a, _, left, _, e, top = where.transform
    x, y = left + a * (x + move[0]), top + e * (y + move[1])
    if where.crs == 'EPSG:4326':
        x, y = pyproj.Transformer.from_crs(4326, 32632, always_xy=True).transform(x, y)
    return np.stack([scene_files.reflectance(x, y, band, date) for band in BANDS])


@pytest.fixture(scope='module')
def served():
    # The second one lies where north in degrees and north in metres differ by 0.8 degree.
    scenes = [Scene(date=DATE, left=left, top=TOP, mgrs=mgrs) for left, mgrs in PLACES]
    with catalogue.serve(scenes) as found:
        yield found


@pytest.mark.parametrize('where', [tile(), degrees()], ids=['native', 'release'])
def test_every_pixel_follows_from_its_place(served, where):
    source = source_of(served)
    found = window(source, only(source, where), where)
    np.testing.assert_array_equal(found, truth(where))
    # A world that is wrong by the least of these is told from this one.
    half = 0.5 + 1e-6  # just over an edge, where the centre of a pixel stands
    for move in ((half, 0), (0, half), (-half, 0), (0, -half), (1, 0)):
        assert (found != truth(where, move=move)).mean() > 0.2, move
    square = found[:, :80, :80]
    for wrong in (square[:, ::-1], square[:, :, ::-1], square.transpose(0, 2, 1), square + 1000):
        assert (wrong != truth(where)[:, :80, :80]).mean() > 0.9
    assert (found != truth(where, date='2020-05-02')).mean() > 0.9


def test_the_native_window_is_the_raw_window_and_20_m_pixels_are_repeated(served, tmp_path):
    source, where = source_of(served), tile()
    item = only(source, where)
    for band in ('B02', 'B11', 'SCL'):
        path = tmp_path / f'{band}.tif'
        path.write_bytes(served.file(item.id, band))
        with rasterio.open(path) as raster:
            size = int(raster.transform.a)
            rows, columns = (1400 // size, (1400 + 960) // size), (1000 // size, 2300 // size)
            raw = raster.read(1, window=(rows, columns))
        reading = source.read(item, band, where)
        repeated = raw.repeat(size // 10, axis=0).repeat(size // 10, axis=1)
        np.testing.assert_array_equal(reading.values, repeated)
        assert reading.values.dtype == raw.dtype
        assert reading.exact


def test_pixels_that_are_moved_say_so(served):
    source = source_of(served)
    item = only(source, tile())
    assert not source.read(only(source, degrees()), 'B02', degrees()).exact
    shifted = tile(left=LEFT + 1004)
    reading = source.read(item, 'B02', shifted)
    assert not reading.exact
    np.testing.assert_array_equal(reading.values, source.read(item, 'B02', tile()).values)
    # On 10 m but not on 20 m: exact for the finer bands, parts of pixels for the coarser.
    odd = tile(left=LEFT + 1010)
    assert source.read(item, 'B02', odd).exact
    assert not source.read(item, 'B11', odd).exact
    np.testing.assert_array_equal(window(source, item, odd), truth(odd))


def test_outside_of_a_scene_nothing_was_seen(served):
    source, where = source_of(served), tile(left=LEFT - 300, top=TOP + 200)
    found = window(source, only(source, where), where)
    assert not found[:, :20].any() and not found[:, :, :30].any()
    np.testing.assert_array_equal(found[:, 20:, 30:], truth(where)[:, 20:, 30:])
    away = tile(left=LEFT - 90000)
    assert not source.read(only(source, where), 'B02', away).values.any()


def touched(path, where):
    """Bytes of the blocks of a file that a window of 10 m pixels touches."""
    with rasterio.open(path) as raster:
        size, block = int(raster.transform.a), raster.block_shapes[0][0]
        left, top, right, bottom = where.bounds
        columns = range(
            int(left - LEFT) // size // block, int(right - LEFT - 1) // size // block + 1
        )
        rows = range(int(TOP - top) // size // block, int(TOP - bottom - 1) // size // block + 1)
        tags = [f'BLOCK_SIZE_{c}_{r}' for r in rows for c in columns]
        return sum(int(raster.get_tag_item(tag, 'TIFF', bidx=1)) for tag in tags)


@pytest.mark.parametrize('corner', [(4000, 5000), (9000, 9400)], ids=['one block', 'four blocks'])
def test_a_cold_window_costs_few_requests_and_hardly_more_than_its_blocks(tmp_path, corner):
    where = tile(left=LEFT + corner[0], top=TOP - corner[1], width=246, height=246)
    with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP, side=2048)], block=1024) as served:
        served.warm()
        source = source_of(served)
        item, blocks = only(source, where), 0
        served.forget()
        found = window(source, item, where)
        requests, size = served.requests, served.bytes
        for band in BANDS:
            (tmp_path / 'one.tif').write_bytes(served.file(item.id, band))
            blocks += touched(tmp_path / 'one.tif', where)
    np.testing.assert_array_equal(found, truth(where))
    print(f'requests {requests}, {size / 1e6:.1f} MB of {blocks / 1e6:.1f} MB of blocks')
    assert requests <= 45
    assert size <= 1.1 * blocks


def test_every_third_request_fails_and_nothing_changes():
    with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP)], fail_every=3) as served:
        source = source_of(served)
        found = window(source, only(source, tile()), tile())
        assert sum(status == 503 for _, _, status, _ in served.log) >= served.requests // 3 > 0
    np.testing.assert_array_equal(found, truth(tile()))


def test_what_failed_is_not_taken_for_absent_afterwards():
    with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP)]) as served:
        source = source_of(served)
        item = only(source, tile())
        served.outage = 8  # more than GDAL's own tries
        np.testing.assert_array_equal(source.read(item, 'B02', tile()).values, truth(tile())[0])
        served.outage = 10**6
        with pytest.raises(SourceError, match='B03.tif: status 503'):
            source.read(item, 'B03', tile())
        served.outage = 0
        np.testing.assert_array_equal(source.read(item, 'B03', tile()).values, truth(tile())[1])


def test_a_store_that_does_not_answer_may_do_so_later():
    with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP)]) as served:
        source = source_of(served)
        item = only(source, tile())
    with pytest.raises(SourceError, match='B02.tif: no answer'):
        source.read(item, 'B02', tile())


def test_files_that_are_missing_or_broken_are_told_apart():
    scene = Scene(date=DATE, left=LEFT, top=TOP, absent=('B03',), broken=('B04',))
    with catalogue.serve([scene]) as served:
        source = source_of(served)
        item = only(source, tile())
        with pytest.raises(UnreadableError, match='no such file: .*B03.tif'):
            source.read(item, 'B03', tile())
        with pytest.raises(UnreadableError, match='broken file: .*B04.tif'):
            source.read(item, 'B04', tile())
        without = item._replace(hrefs={})
        with pytest.raises(UnreadableError, match='no file of band B02'):
            source.read(without, 'B02', tile())


class TestSignatures:
    def source(self, served):
        return source_of(served, sign=f'{served.url}/sas')

    @pytest.mark.parametrize('shape', ['earth_search', 'planetary_computer'])
    def test_they_are_asked_for_at_opening_and_again_when_refused(self, shape, caplog, capfd):
        caplog.set_level('DEBUG')
        scene = Scene(date=DATE, left=LEFT, top=TOP, shape=shape)
        # A read takes 3 requests, so a token is refused again and again, never twice in a row.
        with catalogue.serve([scene], token_uses=8) as served:
            source = self.source(served)
            item = only(source, tile())
            np.testing.assert_array_equal(window(source, item, tile()), truth(tile()))
            assert served.tokens > 2
        said = caplog.text + ''.join(capfd.readouterr()) + repr(item)
        assert 'secret' not in said

    def test_no_more_than_twice(self, caplog):
        with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP)], token_uses=8) as served:
            source = self.source(served)
            item = only(source, tile())
            served.token_uses = -1  # none is good
            with pytest.raises(SourceError, match='B02.tif: status 403') as error:
                source.read(item, 'B02', tile())
            assert served.tokens == 3
        assert 'secret' not in str(error.value) + caplog.text + repr(error.value.__context__)

    def test_one_serves_many_files(self):
        with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP)], token_uses=10**6) as served:
            source = self.source(served)
            window(source, only(source, tile()), tile())
            assert served.tokens == 1

    def test_where_none_is_given_it_says_so(self):
        with catalogue.serve([Scene(date=DATE, left=LEFT, top=TOP)], token_uses=5) as served:
            source = source_of(served, sign=f'{served.url}/sas')
            item = only(source, tile())
            served.outage = 10**6
            with pytest.raises(SourceError, match='no signature from .*: status 503'):
                source.read(item, 'B02', tile())


def test_the_cache_of_blocks_is_given_in_bytes():
    # 64 would be 64 bytes, and a read forty times slower.
    assert scenes_cog.environment(1.0)['GDAL_CACHEMAX'] >= 16 * 2**20
