"""Start a run from checkpoints, whole or by subtree (`config.init`)."""

from typing import Any

import jax
import numpy as np

from gair_jax.config import Config, InputError
from gair_jax.models import gair
from gair_jax.train import checkpoint
from gair_jax.train.label_objective import HEAD, STATISTICS
from gair_jax.train.state import Params

SUBTREES = ('rs', 'sv', 'location')


def sources(config: Config) -> dict[str, str]:
    """Subtree -> the checkpoint it starts from, or 'drawn'; `config.init` keeps it on record."""
    return {
        name: getattr(config.init, name) or config.init.all or 'drawn'
        for name in SUBTREES
        if getattr(config.model, name).enabled
    }


def remarks(config: Config) -> list[str]:
    """Sentences of a run at its start: where it departs from the paper, and its attention."""
    said = []
    if sources(config).get('rs') == 'drawn' and config.model.rs.size == 'B':
        said.append('The RS encoder is drawn anew; the paper starts from CROMA (see init.rs).')
    opt = config.optimizer
    if opt.name == 'adamw' and opt.rate_batch and opt.rate <= 1.5e-6:
        said.append(
            f'The peak rate {opt.rate * config.batch / opt.rate_batch:.2g} is the one the paper '
            'prints; the authors logged 1.44e-4, about 100 times more, and this one hardly learns.'
        )
    return said + _attention(config)


def _attention(config: Config) -> list[str]:
    """How each encoder computes attention, where there is a choice."""
    if jax.default_backend() != 'gpu':
        return []
    towers = {'rs': gair.rs_encoder(config), 'sv': gair.sv_encoder(config)}
    return [t.spec.attention.sentence(name) for name, t in towers.items() if t is not None]


def apply(config: Config, params: Params, given: Params | None = None) -> Params:
    """`params` with the subtrees that `config.init` names replaced by those of checkpoints.

    Those in `given` come last, and win. A head is never named: each task draws its own.
    """
    params = dict(params)
    if config.init.all:
        loaded = _loaded(config.init.all)
        for name in params.keys() - {HEAD, STATISTICS}:
            params[name] = _matched(loaded, name, params[name], f'init.all: {config.init.all}')
    for name in SUBTREES:
        if path := getattr(config.init, name):
            if name not in params:
                raise InputError(f'init.{name}: the configured model has no {name} encoder.')
            params[name] = _matched(_loaded(path), name, params[name], f'init.{name}: {path}')
    for name in given or {}:
        matched = _matched(given or {}, name, params[name], 'given parameters')
        # A copy: the state is donated to the step, and the giver may need its own again. Of the
        # host, since what lies on one device takes no part in computations of a mesh.
        params[name] = jax.tree.map(np.array, matched)
    return params


def _loaded(path: str) -> Params:
    return checkpoint.load(path)[1]


def _matched(loaded: Params, name: str, drawn: Any, where: str) -> Any:
    """The subtree `name` of `loaded`, refused unless its leaves have the names and shapes drawn."""
    if name not in loaded:
        raise InputError(f'{where}: expected parameters {name!r}, found {sorted(loaded)}.')
    found = dict(jax.tree_util.tree_leaves_with_path(loaded[name]))
    expected = dict(jax.tree_util.tree_leaves_with_path(drawn))
    for path in expected.keys() | found.keys():
        shapes = [np.shape(tree[path]) if path in tree else 'nothing' for tree in (expected, found)]
        if shapes[0] != shapes[1]:
            leaf = name + jax.tree_util.keystr(path)
            raise InputError(f'{where}: {leaf}: expected {shapes[0]}, found {shapes[1]}.')
    return loaded[name]
