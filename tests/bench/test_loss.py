"""What each form of the loss holds, read from its compiled program, and the bench that shows it."""

import jax
import numpy as np
import pytest

from gair_jax.bench import loss, virtual
from gair_jax.config import InputError
from gair_jax.losses import blocks

pytestmark = pytest.mark.slow

SMALL = loss.Sizes(n=4096, dim=64, bank=8192)


@pytest.fixture
def small_blocks(monkeypatch):
    """As large beside these sizes as the true ones beside a large batch."""
    monkeypatch.setattr(blocks, '_SIDES', (128, 1024))


def expect_flat(found, counts):
    assert 0 < found['chunked_temp_bytes'] <= 0.05 * found['plain_temp_bytes']
    ring = found['ring_temp_bytes_per_device']
    assert list(ring) == [str(d) for d in counts]
    assert all(ring[str(d)] <= 1.05 * ring['1'] / d for d in counts), ring


def test_chunked_holds_little_and_a_ring_less_on_each_device(small_blocks):
    counts = (1, 2, 4, 8)
    expect_flat(loss.held(SMALL, jax.devices(), counts), counts)


@pytest.mark.slow
def test_the_same_at_a_batch_of_32_768():
    found = loss.bench(loss.Sizes(n=32768, bank=65536, compile_only=True), 0, '')
    expect_flat(found, (1, 2, 4, 8))
    # All logits of SECL with the bank alone, twice.
    assert found['plain_temp_bytes'] > 2 * 4 * 32768 * 65536
    assert 'Chunked holds' in loss.table(found)


def test_forms_are_timed_on_the_same_rows_and_agree():
    found = loss.bench(loss.Sizes(n=256, dim=32, bank=64), 2, '')
    assert found['max_difference'] < 1e-5 and found['largest_slope'] > 1e-5
    assert len(found['chunked']['each']) == 2 and found['ratio'] > 0
    assert found['plain']['cpu_seconds'] > 0
    assert 'x the time of plain' in loss.table(found)


def test_rows_are_units_in_different_directions():
    drawn = loss.drawn(loss.Sizes(n=8, dim=16, bank=4))
    assert {name: len(x) for name, x in drawn.items()} == {
        'loss_localized': 8, 'loss_sv': 8, 'loss_location': 8, 'bank': 4,
    }  # fmt: skip
    for x in drawn.values():
        np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-6)
    assert (drawn['loss_sv'] != drawn['loss_location']).all()


def test_more_devices_than_there_are_is_refused():
    with pytest.raises(InputError, match='--devices: expected at most 8, found 16'):
        virtual.cpu_devices(16)
