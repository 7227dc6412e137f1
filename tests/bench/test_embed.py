import jax
import numpy as np
import pytest

from gair_jax.bench import embed
from gair_jax.config import InputError
from gair_jax.models import gair
from tests.models import small
from tests.shared import shared

pytestmark = pytest.mark.slow


def test_chunks_give_what_the_whole_batch_gives():
    model = gair.build(small.config())
    params, batch = small.drawn(model.init), embed.inputs(model, 4)
    whole = jax.jit(model.apply)(params, batch)
    _, side = embed.ours_in_chunks(model, params, batch, 2)
    for name, found in zip(embed.OUTPUTS, side.read(side.call()), strict=True):
        np.testing.assert_allclose(found, whole[name], atol=2e-5, err_msg=name)


def test_a_chunk_that_does_not_divide_the_batch_is_refused():
    with pytest.raises(InputError, match='--chunk: expected a divisor of 6, found 4'):
        embed.bench(embed.Sizes(batch=6, chunk=4), 1, '')


@pytest.mark.slow
def test_the_numbers_of_the_shared_peer():
    pytest.importorskip('torch')
    path = shared('peers/torch_gair.py')
    found = embed.bench(embed.Sizes(batch=2, chunk=1), 1, str(path))
    assert 0 < found['max_difference'] < 1e-4  # sigma 256 multiplies rounding of places
    assert found['flops']['compiled'] == pytest.approx(found['flops']['from_sizes'], rel=0.03)
