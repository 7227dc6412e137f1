"""Weights of other implementations to a model of ours, and a checkpoint of ours back to theirs."""

import dataclasses
import os
from typing import Any, NamedTuple

import jax
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.convert import croma, files, sources
from gair_jax.convert.files import StateFile
from gair_jax.convert.sources import Layout, Source
from gair_jax.convert.table import convert, flatten, keys, matches, restore
from gair_jax.models import gair
from gair_jax.models.transformer import WEIGHTS
from gair_jax.sensors import SensorContract, contract
from gair_jax.train import checkpoint

Params = dict[str, Any]
# What a checkpoint of a training run is written as, unless a source is named.
DEFAULT = 'gair_release'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is taken.

    Attributes:
      source: name in `sources.SOURCES`; '' recognises it from the keys.
      preset: of GAIR: release (as the public code runs it) or history; '' is that of the file,
        where this project wrote it, else release.
      bands: of CROMA: 10 keeps the ten of our sensor; 0 keeps all.
      reinit_patch: of CROMA: draws the patch embedding anew, as GAIR's authors did.
      image_head: of GeoCLIP: file of its image head; '' takes none but what the file itself holds.
      settings: of SatCLIP and TorchSpatial: JSON file of hyper-parameters that the file lacks.
    """

    source: str = ''
    preset: str = ''
    bands: int = 0
    reinit_patch: bool = False
    image_head: str = ''
    settings: str = ''


class Converted(NamedTuple):
    """A model of ours from a file.

    config, params, contracts: the model. carried: arrays of the file that it has no place for.
    layout, file: how they were stored. remarks: sentences for people.
    """

    config: Config
    params: Params
    contracts: dict[str, SensorContract]
    carried: dict[str, np.ndarray]
    layout: Layout
    file: StateFile
    remarks: list[str]

    def origin(self, path: str) -> dict[str, Any]:
        """What `to_state` needs to write the file again, as JSON values."""
        return {
            'path': path,
            'layout': dataclasses.asdict(self.layout),
            'wrapper': self.file.wrapper,
            'groups': list(self.file.groups),
            'dtypes': _odd_types(self.file, self.carried),
        }


class Restored(NamedTuple):
    """A state dict in a source's layout; `absent`: patterns of names of the layout it lacks."""

    file: StateFile
    source: Source
    absent: list[str]
    remarks: list[str]


def from_file(path: str | os.PathLike[str], options: Options | None = None) -> Converted:
    """The model in a .safetensors or .pth file.

    Raises:
      InputError: it cannot be read, is of no known layout, or does not fit it; names what.
    """
    options = options or Options()
    file = _with_head(files.read(path), options)
    layout = sources.recognise(file.state, options.source)
    _check(options, layout)
    if options.bands == len(croma.TEN_BANDS):
        cut = croma.keep_bands(file.state, croma.TEN_BANDS, layout.prefix)
        file = dataclasses.replace(file, state=cut)
    source = sources.source(layout.source)
    layout = dataclasses.replace(layout, settings=_settings(file, source, options))
    config, contracts = _described(file, source, layout, options)
    template = jax.eval_shape(gair.build(config).init, jax.random.key(0))
    rules = source.rules(template, layout)
    params = convert(file.state, rules, template, source.unused(template, layout))
    if options.reinit_patch:
        params['rs']['patch'] = _drawn(params['rs']['patch'], config.seed)
    read = keys(rules, template)
    carried = {key: value for key, value in file.state.items() if key not in read}
    remarks = _remarks(config, file, layout, carried, options)
    return Converted(config, params, contracts, carried, layout, file, remarks)


def to_state(path: str | os.PathLike[str], source: str = '') -> Restored:
    """The state dict of a checkpoint of ours.

    A converted checkpoint gets back every entry that it came from, bit for bit, under the names it
    came with. One of a training run, or one for which another source is named, gets what its model
    has, under that source's names.

    Raises:
      InputError: there is no checkpoint, or the source has no place for a part of it.
    """
    if files.is_state_file(path):
        raise InputError(f'{path}: expected a checkpoint of ours to write under other names.')
    config, params, contracts = checkpoint.load(path)
    origin, carried = checkpoint.origin(path), {}
    back = origin and source in ('', origin['layout']['source'])
    if back:
        layout, carried = Layout(**origin['layout']), checkpoint.carried(path)
    else:
        layout, origin = _own_layout(config, source or DEFAULT), {}
    to = sources.source(layout.source)
    encoder = config.model.location.encoder
    if to.encoders and 'location' in params and encoder not in to.encoders:
        raise InputError(
            f'{path}: the layout of {to.name} has a place for {", ".join(to.encoders)} as location '
            f'encoder, found {encoder}.'
        )
    tree, remarks = _fitting(params, to, layout, path)
    state = restore(tree, to.rules(tree, layout))
    for key, dtype in origin.get('dtypes', {}).items():
        state[key] = state[key].astype(_dtype(dtype))
    file = StateFile(
        state=state | carried,
        wrapper=origin.get('wrapper', '' if to.part else 'model'),
        groups=tuple(origin.get('groups', ())),
        record=checkpoint.record(config, contracts),
    )
    absent = [] if back else [p for p in to.absent(tree) if not any(matches(k, [p]) for k in state)]
    return Restored(file, to, absent, remarks)


def _with_head(file: StateFile, options: Options) -> StateFile:
    """The file with the arrays of the image head's file beside its own."""
    if not options.image_head:
        return file
    head = files.read(options.image_head).state
    if twice := sorted(set(head) & set(file.state)):
        raise InputError(f'--image-head {options.image_head}: {twice[0]} is in both files.')
    return dataclasses.replace(file, state={**file.state, **head})


def _settings(file: StateFile, source: Source, options: Options) -> dict[str, Any]:
    """What the model was built with: as the file says, and as the user says where it does not."""
    said = {name: value for name, value in file.settings.items() if name in source.settings}
    if not options.settings:
        return said
    given = files.read_settings(options.settings)
    for name, value in given.items():
        if name not in source.settings:
            known = ', '.join(source.settings) or f'none, as {source.name} needs none'
            raise InputError(f'{options.settings}: expected names of {known}, found {name!r}.')
        if said.get(name, value) != value:
            raise InputError(
                f'{options.settings}: {name}: expected {said[name]!r}, which the weights say of '
                f'themselves, found {value!r}.'
            )
    return said | given


def _check(options: Options, layout: Layout) -> None:
    """Refuses options that are about another source, and numbers of bands other than 10 and 12."""
    about = {'preset': 'gair', 'bands': 'croma', 'reinit_patch': 'croma', 'image_head': 'geoclip'}
    for name, whose in about.items():
        if getattr(options, name) and not layout.source.startswith(whose):
            raise InputError(
                f'--{name.replace("_", "-")}: this is about {whose}, found weights of '
                f'{layout.source}.'
            )
    if options.bands not in (0, len(croma.TEN_BANDS), croma.CHANNELS):
        raise InputError(f'--bands: expected 10 or 12, found {options.bands}.')
    if options.preset not in ('', 'release', 'history'):
        raise InputError(f'--preset: expected release or history, found {options.preset!r}.')
    if options.image_head and layout.head is None:
        raise InputError(
            f'--image-head {options.image_head}: expected two linear layers, 0 and 2, found none.'
        )


def _described(
    file: StateFile, source: Source, layout: Layout, options: Options
) -> tuple[Config, dict[str, SensorContract]]:
    """Config and contracts: those on record in the file, else what its keys and shapes imply."""
    if file.record and not options.preset:
        return checkpoint.read_record(file.record)
    config = source.config(file.state, layout, options.preset or 'release')
    sides = [side for side in ('rs', 'sv') if getattr(config.model, side).enabled]
    return config, {side: contract(getattr(config.input, side).sensor) for side in sides}


def _drawn(patch: Params, seed: int) -> Params:
    """A patch embedding as a new model of ours draws it."""
    kernel = WEIGHTS(jax.random.key(seed), patch['kernel'].shape)
    return {'kernel': np.asarray(kernel), 'bias': np.zeros_like(patch['bias'])}


def _remarks(
    config: Config, file: StateFile, layout: Layout, carried: Params, options: Options
) -> list[str]:
    """What a user should know about how the file was taken."""
    said, model = [], config.model
    if file.ignored:
        said.append(f'The file also holds {", ".join(file.ignored)}; not read.')
    if not file.record:
        sides = [s for s in ('rs', 'sv') if getattr(model, s).enabled]
        heads = ' and '.join(f'{getattr(model, s).heads} ({s})' for s in sides)
        said += [f'Attention heads leave no trace in the weights; taken: {heads}.'] if heads else []
    if any(file.state[k].dtype == np.float64 for k in file.state if k not in carried):
        said.append('The file holds float64, ours are float32: the way back gives rounded numbers.')
    if any('transformer.norm_out' in key for key in carried if 's2_encoder' in key):
        said.append(
            'The file has a final norm of the tile encoder (norm_out), which the public code '
            'drops: it is kept but not used. --preset history uses it.'
        )
    if layout.spelling == '5':
        said.append('Street view names are those of transformers 5.')
    if layout.source == 'croma' and config.input.rs.sensor == 'sentinel2_10':
        said.append(
            'Ten bands: tiles are scaled by the statistics of sentinel2_10, where CROMA scaled '
            'each image by its own. Weights of its other two bands are not kept.'
        )
    if options.reinit_patch:
        said.append('The patch embedding is drawn anew; that of the file is not kept.')
    if layout.source.startswith('vit_'):
        said.append(f'Photos are scaled by {config.input.sv.sensor}; --source names another kind.')
    return said


def _odd_types(file: StateFile, carried: Params) -> dict[str, str]:
    """Types of converted arrays that are not float32, which our parameters are."""
    return {
        key: str(value.dtype)
        for key, value in file.state.items()
        if key not in carried and value.dtype != np.float32
    }


def _dtype(name: str) -> np.dtype:
    import ml_dtypes  # bfloat16 is not NumPy's own

    return np.dtype(getattr(ml_dtypes, name, name))


def _own_layout(config: Config, source: str) -> Layout:
    """How a checkpoint of ours is written as a source."""
    return Layout(
        source=source,
        prefix='location_encoder.' if source in ('geoclip', 'taxabind') else '',
        spelling='4' if source.startswith('gair') else '',
        head='image_encoder.mlp.' if config.model.clip_hidden else None,
        norm='fc_norm' if config.model.sv.pooling == 'mean_norm' else 'norm',
    )


def _fitting(
    params: Params, to: Source, layout: Layout, path: str | os.PathLike[str]
) -> tuple[Params, list[str]]:
    """The sub-trees that a source has a place for, and a remark on those it has none for.

    Raises:
      InputError: the source's part is absent, or only some of a sub-tree has a place.
    """
    if to.part and to.part not in params:
        raise InputError(f'{path}: expected parameters {to.part!r}, found {sorted(params)}.')
    targets = {target for rule in to.rules(params, layout) for target in rule.targets}
    names = {target.partition('/')[0] for target in targets}
    tree = {name: params[name] for name in params if name in names}
    for leaf in sorted(set(flatten(tree)) - targets):
        raise InputError(f'{path}: the layout of {to.name} has no place for our {leaf}.')
    out = sorted(set(params) - names)
    remark = f'The layout of {to.name} has no place for our {", ".join(out)}: left out.'
    return tree, [remark] if out else []
