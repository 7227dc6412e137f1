"""Parity of the decoders and of what merges dates before them."""

import jax
import jax.numpy as jnp
import numpy as np

from gair_jax.convert import upernet as table
from gair_jax.convert.table import restore
from gair_jax.models import siamese
from gair_jax.models.ltae import Ltae, LtaeSpec
from gair_jax.models.time_merging import LinearTime, LtaeTime
from gair_jax.models.upernet import UPerNet, UPerNetSpec
from tests.parity.kinds import Arrays, Data, kind, require
from tests.parity.weights import Case


def loaded(module, rules, state: dict, *args, **kwargs) -> dict:
    """Our variables from a state dict, after checking that they give it back bit for bit."""
    template = jax.eval_shape(lambda: module.init(jax.random.key(0), *args, **kwargs))
    made = table.variables(state, rules, template)
    again = restore(made, rules)
    assert again.keys() == state.keys()
    assert all(np.array_equal(again[key], state[key]) for key in state)
    return made


def channels_first(x) -> np.ndarray:
    return np.moveaxis(np.asarray(x), -1, 1)


def decoded(case: Case, levels: list, state: dict) -> Arrays:
    """All that a decoder gives, channels first."""
    kwargs = case.kwargs
    require(kwargs, batch_norm='running_statistics', norm_eps=1e-5, activation='gelu_erf')
    require(kwargs, align_corners=False, dropout=0.0)
    spec = UPerNetSpec(
        classes=kwargs['num_classes'],
        channels=kwargs['channels'],
        pools=tuple(kwargs['pool_scales']),
        pyramid=kwargs['pyramid_output'],
    )
    rescales = [spec.rescale(i, len(levels)) for i in range(len(levels))]
    require(kwargs, rescales=rescales)
    model, size = UPerNet(spec), tuple(kwargs['output_shape'])
    rules = table.decoder(rescales, len(spec.pools))
    made = loaded(model, rules, state, levels, size)
    parts = jax.jit(lambda v, x: model.apply(v, x, size, method='parts'))(made, levels)
    return {name: channels_first(x) for name, x in parts.items()}


def maps(case: Case, end: str = '') -> list:
    """Levels of a case, channels last."""
    count = len(case.kwargs['dims'])
    return [jnp.asarray(np.moveaxis(case.inputs[f'feat{i}{end}'], 1, -1)) for i in range(count)]


@kind('upernet')
def upernet(case: Case, data: Data) -> Arrays:
    del data
    return decoded(case, maps(case), case.params)


@kind('siamese_upernet')
def siamese_upernet(case: Case, data: Data) -> Arrays:
    del data
    levels = siamese.merge(maps(case, '_t0'), maps(case, '_t1'), case.kwargs['strategy'])
    return decoded(case, levels, case.params)


@kind('multi_temporal_upernet')
def multi_temporal_upernet(case: Case, data: Data) -> Arrays:
    del data
    kwargs = case.kwargs
    require(kwargs, multi_temporal_strategy=('linear', 'ltae'))
    levels = maps(case)
    time = {key: value for key, value in case.params.items() if key.startswith('tmap.')}
    if kwargs['multi_temporal_strategy'] == 'linear':
        merging, rules = LinearTime(), table.linear_time()
    else:
        require(kwargs['ltae'], positional_encoding=False)
        spec = ltae_spec(kwargs['ltae'])
        merging, rules = LtaeTime(spec), table.ltae(len(spec.mlp), 'tmap.', 'ltae/')
    fused = merging.apply(loaded(merging, rules, time, levels), levels)
    rest = {key: value for key, value in case.params.items() if key not in time}
    fuses = {f'fused{i}': channels_first(x) for i, x in enumerate(fused)}
    return decoded(case, fused, rest) | fuses


def ltae_spec(kwargs: dict) -> LtaeSpec:
    return LtaeSpec(
        width=kwargs['d_model'],
        mlp=tuple(kwargs['mlp'][1:]),
        heads=kwargs['n_head'],
        key_dim=kwargs['d_k'],
        positions=kwargs['positional_encoding'],
    )


@kind('ltae')
def ltae(case: Case, data: Data) -> Arrays:
    del data
    require(case.kwargs, batch_norm='running_statistics', norm_eps=1e-5, T=1000, pad_score=-1000)
    require(case.kwargs, groups=case.kwargs['n_head'])
    spec = ltae_spec(case.kwargs)
    model, x = Ltae(spec), jnp.asarray(case.inputs['x'].transpose(0, 2, 3, 4, 1))
    days, padded = (
        jnp.asarray(case.inputs[name]) if used else None
        for name, used in (
            ('batch_positions', spec.positions),
            ('pad_mask', case.kwargs['pad_mask']),
        )
    )
    made = loaded(model, table.ltae(len(spec.mlp)), case.params, x, days, padded)
    y, attention = model.apply(made, x, days, padded, method='attend')
    return {'y': channels_first(y), 'attention': np.asarray(attention)}
