"""Another implementation of the same work, in PyTorch, imported from a file of the user.

The file defines `NILI(dim)` and `GAIR()`, torch modules: `GAIR` has `rs`, `sv`, `loc` and `nili`,
images channels first, and parameters named as in the tables here. Its weights become ours, so that
both compute the same numbers.
"""

import importlib.util
import pathlib
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

import jax
import numpy as np

from gair_jax import presets
from gair_jax.bench.record import Side
from gair_jax.config import Config, InputError
from gair_jax.convert import layers, liif
from gair_jax.convert.table import Rule, Tree, convert, linear, norm, qkv, same

# The towers' bias table and the queue of places are no parameters.
UNUSED = ('rs.bias', 'queue')
NORM_EPS = 1e-5  # torch.nn.LayerNorm's
LOCATION_HIDDEN = 3


def load(path: str) -> ModuleType:
    """The module in the file at `path`; it is run, so it must be one that the user trusts.

    Raises:
      InputError: no such file, or it needs a package that is not installed.
    """
    file = pathlib.Path(path)
    spec = importlib.util.spec_from_file_location(f'peer_{file.stem}', file)
    if spec is None or spec.loader is None or not file.is_file():
        raise InputError(f'--peer: {path}: expected a Python file, found none.')
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModuleNotFoundError as error:
        raise InputError(f'--peer: {path} needs the package {error.name}.') from None
    return module


def made(module: ModuleType, name: str, *arguments: Any) -> Any:
    """The peer's model `name`, with the weights that it draws itself from seed 0."""
    import torch

    if not hasattr(module, name):
        raise InputError(f'--peer: {module.__file__}: expected a class {name}, found none.')
    torch.manual_seed(0)
    return getattr(module, name)(*arguments).to(device()).eval()


def device() -> str:
    """Where the peer runs: on the kind of device that JAX uses, as far as torch has it."""
    import torch

    return 'cuda' if jax.default_backend() == 'gpu' and torch.cuda.is_available() else 'cpu'


def nili_side(nili: Any, grid: np.ndarray, xy: np.ndarray) -> Side:
    """The peer's NILI on patch grids [B, H, W, D] and points [B, Q, 2], x first."""
    tokens = _tensor(grid.reshape(len(grid), -1, grid.shape[-1]))
    points = _tensor(xy)
    return _side(lambda: (nili(tokens, points),))


def embed_side(model: Any, batch: Mapping[str, np.ndarray], dtype: str) -> Side:
    """The peer's three encoders and one NILI query each, on our network input.

    Its products are in `dtype`, of which bfloat16 is that of autocast.
    """
    rs, sv = (_tensor(batch[side].transpose(0, 3, 1, 2)) for side in ('rs', 'sv'))
    xy, lonlat = _tensor(batch['xy'][:, None]), _tensor(batch['lonlat'])
    return _side(
        lambda: (model.nili(model.rs(rs), xy)[:, 0], model.sv(sv).mean(1), model.loc(lonlat)),
        dtype,
    )


def _side(forward: Callable[[], Sequence[Any]], dtype: str = 'float32') -> Side:
    import torch

    def call() -> Sequence[Any]:
        with (
            torch.inference_mode(),
            torch.autocast(device(), torch.bfloat16, enabled=dtype != 'float32'),
        ):
            result = forward()
        if device() == 'cuda':
            torch.cuda.synchronize()
        return result

    return Side(call, lambda result: [x.float().cpu().numpy() for x in result])


def _tensor(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(np.ascontiguousarray(array)).to(device())


def config(dtype: str) -> Config:
    """Our model with the sizes and settings of the peer's `GAIR`."""
    made = presets.paper()
    made.model.dtype = dtype
    same_model(made)
    return made


def same_model(paper: Config) -> None:
    """Changes the paper's model and loss to the peer's, which differ in few points."""
    paper.model.nili.hidden = ()
    paper.model.rs.final_norm = False
    paper.model.sv.norm_eps = NORM_EPS
    paper.loss.secl_denominator = 'batch_and_bank'


def queue(model: Any) -> np.ndarray:
    """The peer's past places, [K, 2], longitude first, degrees."""
    return model.queue.cpu().numpy()


def train_step(model: Any, batch: Mapping[str, np.ndarray], bfloat16: bool) -> Callable[[], float]:
    """One step of the peer with AdamW on our network input; gives its loss.

    On a GPU it is compiled; with `bfloat16` its products are rounded by autocast, as ours are.
    """
    import torch

    on_gpu = device() == 'cuda'
    images = {'rs', 'sv'}
    rs, sv, lonlat, xy = (
        _tensor(
            batch[name].astype(np.float32).transpose(0, 3, 1, 2) if name in images else batch[name]
        )
        for name in ('rs', 'sv', 'lonlat', 'xy')
    )
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1.5e-6, weight_decay=0.01, fused=on_gpu)
    run = torch.compile(model) if on_gpu else model

    def step() -> float:
        with torch.autocast(device(), torch.bfloat16, enabled=bfloat16):
            loss = run(rs, sv, lonlat, xy)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def nili_params(nili: Any, template: Tree) -> Tree:
    """Our parameters of NILI from the peer's."""
    return convert(_state(nili), liif.rules(0, 'mlp', 'nili'), {'nili': template})['nili']


def params(model: Any, template: Tree) -> Tree:
    """Our parameters of the whole model from the peer's."""
    table = [*_tower('rs', 10, qkv_bias=False), *_tower('sv', 3, qkv_bias=True)]
    table += [layers.batched('sv/position', 'sv.pos'), *norm('sv/norm', 'sv.norm')]
    table += [same('location/frequencies', 'loc.b{i}'), *liif.rules(0, 'nili.mlp')]
    for layer in range(LOCATION_HIDDEN):
        table += linear(f'location/branches/hidden_{layer}', f'loc.mlps.{{i}}.{2 * layer}')
    table += linear('location/branches/out', f'loc.mlps.{{i}}.{2 * LOCATION_HIDDEN}')
    return convert(_state(model), table, template, UNUSED)


def _tower(side: str, channels: int, qkv_bias: bool) -> list[Rule]:
    target, source = f'{side}/transformer/layers', f'{side}.blocks.{{i}}'
    table = norm(f'{target}/attention_norm', f'{source}.norm1')
    table += norm(f'{target}/mlp_norm', f'{source}.norm2')
    table += qkv(target, f'{source}.qkv', qkv_bias)
    for ours, theirs in {'attention_out': 'proj', 'mlp_in': 'up', 'mlp_out': 'down'}.items():
        table += linear(f'{target}/{ours}', f'{source}.{theirs}')
    return table + layers.patch_convolution(f'{side}/patch', f'{side}.embed', channels)


def _state(module: Any) -> dict[str, np.ndarray]:
    return {name: value.cpu().numpy() for name, value in module.state_dict().items()}
