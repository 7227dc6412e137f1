import pytest

from gair_jax import presets
from gair_jax.config import InputError
from gair_jax.train import run_checks


def test_a_rolled_loop_that_keeps_everything_is_for_cpus_alone():
    config = presets.paper()
    config.model.rolled = True
    run_checks.require_fast_layers(config, 'cpu')
    with pytest.raises(InputError, match="on a gpu a rolled loop expects model.remat='full'"):
        run_checks.require_fast_layers(config, 'gpu')
    config.model.remat = 'full'
    run_checks.require_fast_layers(config, 'tpu')
