"""CROMA's optical encoder (Fuller et al. 2023; antofuller/CROMA, MIT) and our `rs` sub-tree."""

import numpy as np

from gair_jax.config import InputError
from gair_jax.convert import layers
from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm

# Of CROMA's B01 B02 B03 B04 B05 B06 B07 B08 B8A B09 B11 B12, those of our ten-band sensor.
TEN_BANDS = (1, 2, 3, 4, 5, 6, 7, 8, 10, 11)
CHANNELS = 12
UNUSED = ('s1_encoder.*', 's1_GAP_FFN.*', 's2_GAP_FFN.*', 'joint_encoder.*')


def rules(source: str = 's2_encoder.', target: str = 'rs', final_norm: bool = True) -> list[Rule]:
    """The table of the encoder whose keys start with `source`."""
    last = norm(f'{target}/norm', f'{source}transformer.norm_out') if final_norm else []
    return [
        *linear(f'{target}/patch', f'{source}linear_input'),
        *layers.croma(f'{target}/transformer/layers', f'{source}transformer.layers.'),
        *last,
    ]


def gap_head(source: str = 's2_GAP_FFN.', target: str = 'gap') -> list[Rule]:
    """CROMA's head on the mean of the tokens, as `models.heads.Head`."""
    return [
        *norm(f'{target}/norm', f'{source}0'),
        *linear(f'{target}/hidden_0', f'{source}1'),
        *linear(f'{target}/out', f'{source}3'),
    ]


def unused(template: Tree, prefix: str = '') -> tuple[str, ...]:
    """Patterns of CROMA's keys that have no place in our tree."""
    patterns = UNUSED if 'norm' in template['rs'] else (*UNUSED, 's2_encoder.transformer.norm_out*')
    return tuple(prefix + pattern for pattern in patterns)


def keep_bands(
    state: State, bands: tuple[int, ...], prefix: str = '', channels: int = CHANNELS
) -> dict[str, np.ndarray]:
    """The state dict with a patch embedding for some of its input channels.

    Its columns are ordered (channel, row, column); the bias stays.

    Raises:
      InputError: the patch embedding is absent, or not one of that many channels.
    """
    key = f'{prefix}s2_encoder.linear_input.weight'
    weight = np.asarray(state.get(key, ()))
    if weight.ndim != 2 or weight.shape[1] % channels:
        raise InputError(
            f'weights: {key}: expected columns for {channels} bands, found shape {weight.shape}.'
        )
    kept = weight.reshape(len(weight), channels, -1)[:, bands].reshape(len(weight), -1)
    return {**state, key: kept}


def params(state: State, template: Tree) -> Tree:
    """Our {'rs': ...} from CROMA's keys; `template` is the tree whose shapes are expected.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    return convert(state, rules(final_norm='norm' in template['rs']), template, unused(template))
