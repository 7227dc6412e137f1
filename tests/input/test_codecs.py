import dataclasses

import numpy as np
import pytest

from gair_jax.input import codecs


@pytest.mark.parametrize('codec', codecs.CODECS)
@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int16', 'float32'])
def test_codecs_are_lossless_and_windows_are_slices(codec, dtype):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 2**16, (9, 11, 3)).astype(dtype)
    packed = codecs.pack(array, codec)
    np.testing.assert_array_equal(packed.whole(), array)
    assert packed.whole().dtype == array.dtype
    np.testing.assert_array_equal(packed.window(2, 3, 5, 4), array[2:7, 3:7])


def test_the_codec_makes_smooth_bands_smaller():
    smooth = np.cumsum(np.ones((64, 64, 10), np.uint16), axis=1, dtype=np.uint16)
    packed = codecs.pack(smooth, 'hdiff_zstd')
    assert len(packed.data) < smooth.nbytes / 100


def test_pixels_of_another_size_are_corrupt():
    packed = codecs.pack(np.zeros((4, 4, 2), np.uint16), 'raw')
    with pytest.raises(codecs.CorruptError, match='expected 96 bytes of uint16'):
        dataclasses.replace(packed, shape=(4, 6, 2)).whole()


def test_bytes_that_end_early_are_corrupt_where_they_are_needed():
    rng = np.random.default_rng(0)
    packed = codecs.pack(rng.integers(0, 2**16, (512, 64, 3)).astype(np.uint16), 'hdiff_zstd')
    short = dataclasses.replace(packed, data=packed.data[: len(packed.data) // 2])
    with pytest.raises(codecs.CorruptError, match='do not decompress'):
        short.whole()
    np.testing.assert_array_equal(short.window(0, 5, 9, 7), packed.whole()[:9, 5:12])
    with pytest.raises(codecs.CorruptError, match='do not decompress'):
        dataclasses.replace(packed, data=b'no frame').window(0, 0, 1, 1)
    with pytest.raises(codecs.CorruptError, match='expected 98304 bytes'):
        dataclasses.replace(packed, shape=(256, 64, 3)).window(0, 0, 1, 1)
