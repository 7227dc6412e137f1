"""The location encoder alone, as one file for use without this project.

    .npz        weights with the code that uses them: NumPy alone (`serve.location_numpy`)
    .stablehlo  a program of `jax.export` for CPU, CUDA and TPU, with any number of places
    .onnx       the graph of `serve.location_onnx`, for ONNX runtimes

What is written is read back and compared with the model at `PLACES` before it gets its name.
"""

import contextlib
import dataclasses
import importlib.resources
import importlib.util
import json
import os
import pathlib
import zipfile
import zipimport
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jaxtyping import Array, Float

import gair_jax
from gair_jax.config import Config, InputError
from gair_jax.models import gair
from gair_jax.serve import weights
from gair_jax.serve.location_numpy import Weights

PLATFORMS = ('cpu', 'cuda', 'tpu')
N_PLACES = 2000
# Largest differences accepted, of the root mean square of the embeddings. The model's own phases
# are float32 and differ from the float64 ones of .npz and .onnx in proportion to sigma. With drawn
# weights 256 alone moves embeddings by 1.5e-3, with 1 and 16 beside it by 7e-4; a sine taken for a
# cosine, or a latitude for a longitude, by more than 1.
TOLERANCE, FLOAT64_TOLERANCE_PER_SIGMA = 1e-4, 2e-5

Encode = Callable[[np.ndarray], Any]


class Source(NamedTuple):
    """What is exported: the model's `encode`, the same as arrays, and what is said about it."""

    encode: Callable[[gair.Params, Array], Array]
    params: gair.Params
    weights: Weights
    metadata: dict[str, Any]


class Format(NamedTuple):
    """How a file is written and read back, and whether its phases are float64."""

    write: Callable[[pathlib.Path, Source], None]
    read: Callable[[pathlib.Path], Encode]
    float64: bool

    def tolerance(self, sigma: list[float]) -> float:
        """Largest difference accepted."""
        return max(TOLERANCE, FLOAT64_TOLERANCE_PER_SIGMA * max(sigma) if self.float64 else 0)


class Report(NamedTuple):
    """Largest difference from the model at `places` places; root mean square of its embeddings."""

    difference: float
    scale: float
    places: int
    tolerance: float
    metadata: dict[str, Any]


def export(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    revision: str = '',
    say: Callable[[str], None] = lambda step: None,
) -> Report:
    """Writes a location encoder to `target`, in the format that its ending names.

    Its embeddings are those of `encode_location`: in the common space, not normalized.

    Args:
      path: weights, as `gair_jax.load` takes them.
      target: file; one that is there is replaced.
      revision: of weights on a hub.
      say: is told each step as it begins.

    Raises:
      InputError: another ending, no checkpoint, a model without location encoder, a package that is
        not installed, or a file that did not give the model's numbers; `target` is then untouched.
    """
    target = pathlib.Path(target)
    form = format_of(target)
    say('reading the checkpoint')
    source = read_source(path, revision)
    part = target.with_name(target.name + '.part')
    try:
        say('writing')
        form.write(part, source)
        say('comparing with the model')
        report = compare(source, form, part)
        _require_same(report, target)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)
    return report


def format_of(target: pathlib.Path) -> Format:
    """How `target` is written; InputError where it cannot be."""
    if target.suffix not in FORMATS:
        raise InputError(f'{target}: expected an ending of {", ".join(FORMATS)}.')
    if target.is_dir() or not target.parent.is_dir():
        raise InputError(f'{target}: expected a file in a folder that exists.')
    if target.suffix == '.onnx' and importlib.util.find_spec('onnx') is None:
        raise InputError(f"{target}: needs the package onnx: pip install 'gair_jax[onnx]'.")
    return FORMATS[target.suffix]


def read_source(path: str | os.PathLike[str], revision: str = '') -> Source:
    """The location encoder of whatever `serve.weights` reads."""
    config, params, _, origin = weights.read(path, revision=revision)
    if 'location' not in params:
        raise InputError(
            f'{path}: expected a model with a location encoder, found {", ".join(sorted(params))}.'
        )
    if (name := config.model.location.encoder) != 'geoclip':
        raise InputError(
            f'{path}: export writes the encoder geoclip alone, found {name}: gair_jax.load(...) '
            'and gair embed run it.'
        )
    model = gair.build(config)

    def encode(params: gair.Params, lonlat: Array) -> Array:
        return model.project(params, 'location', model.encode_location(params, lonlat))

    return Source(encode, params, weights_of(params), metadata_of(config, origin))


def metadata_of(config: Config, origin: weights.Origin) -> dict[str, Any]:
    """What a file says about itself."""
    return {
        'origin': dataclasses.asdict(origin),
        'version': gair_jax.__version__,
        'input': 'lonlat [n, 2]: longitude, latitude; degrees, WGS84',
        'output': 'embedding [n, D]: float32, not normalized',
        'embed_dim': config.model.embed_dim,
        'sigma': list(config.model.location.sigma),
    }


def weights_of(params: gair.Params) -> Weights:
    """The encoder's arrays; a projection of its side, linear too, goes into the last layer."""
    location = jax.tree.map(np.asarray, params['location'])
    branches = location['branches']
    layers = [branches[f'hidden_{i}'] for i in range(len(branches) - 1)] + [branches['out']]
    kernels, biases = [x['kernel'] for x in layers], [x['bias'] for x in layers]
    if projection := params.get('projections', {}).get('location'):
        kernel, bias = (np.asarray(projection[k], np.float64) for k in ('kernel', 'bias'))
        kernels[-1] = (kernels[-1] @ kernel).astype(np.float32)
        # Scales are summed, so each brings its share of the projection's bias.
        biases[-1] = (biases[-1] @ kernel + (bias / len(biases[-1]))[None]).astype(np.float32)
    return Weights(location['frequencies'], kernels, biases)


def check_places() -> Float[np.ndarray, 'n 2']:
    """Places of the comparison: poles, both sides of the antimeridian, and the whole sphere evenly.

    float64 [N_PLACES, 2] that float32 holds exactly, so that every format sees the same places.
    """
    lons = (-180, -179.99999, -90, 0, 90, 179.99999, 180)
    edge = [(lon, lat) for lon in lons for lat in (-90, -89.9999, -60, 0, 60, 89.9999, 90)]
    uniform = np.random.default_rng(0).uniform(-1, 1, (N_PLACES - len(edge), 2))
    sphere = np.stack([180 * uniform[:, 0], np.degrees(np.arcsin(uniform[:, 1]))], axis=-1)
    return np.concatenate([edge, sphere]).astype(np.float32).astype(np.float64)


def compare(source: Source, form: Format, path: pathlib.Path) -> Report:
    """What `path` gives when read back, against the model."""
    places = check_places()
    found = np.asarray(form.read(path)(places))
    with jax.default_matmul_precision('highest'):
        model = jax.jit(source.encode)(source.params, jnp.asarray(places, jnp.float32))
    ours = np.asarray(model, np.float64)
    scale = float(np.sqrt(np.mean(ours**2)))
    tolerance = form.tolerance(source.metadata['sigma'])
    return Report(
        float(np.max(np.abs(found - ours))), scale, len(places), tolerance, source.metadata
    )


def _require_same(report: Report, target: pathlib.Path) -> None:
    # Turned round, so that NaN is refused too.
    if not report.difference <= report.tolerance * report.scale:
        raise InputError(
            f'{target}: not written, because at {report.places} places it gave numbers up to '
            f'{report.difference:.2g} from the model, of root mean square {report.scale:.2g}: '
            f'expected at most {report.tolerance:g} of that.'
        )


def _write_npz(path: pathlib.Path, source: Source) -> None:
    arrays = {'frequencies': source.weights.frequencies}
    for i, (kernel, bias) in enumerate(
        zip(source.weights.kernels, source.weights.biases, strict=True)
    ):
        arrays |= {f'kernel_{i}': kernel, f'bias_{i}': bias}
    code = importlib.resources.files('gair_jax.serve').joinpath('location_numpy.py').read_text()
    with zipfile.ZipFile(path, 'w') as archive:
        # A ZipInfo bears no date of today: the same weights give the same file.
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f'{name}.npy'), 'w') as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.writestr(zipfile.ZipInfo('metadata.json'), json.dumps(source.metadata))
        for name in ('gair_location.py', '__main__.py'):
            archive.writestr(zipfile.ZipInfo(name), code)


def _read_npz(path: pathlib.Path) -> Encode:
    """`encode` of the module inside the file."""
    importer = zipimport.zipimporter(str(path))
    importer.invalidate_caches()
    spec = importer.find_spec('gair_location')
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.encode


def _write_stablehlo(path: pathlib.Path, source: Source) -> None:
    def gair_location(lonlat: Array) -> Array:
        is_place = jnp.all(jnp.abs(lonlat) <= jnp.array([[180.0, 90.0]]), axis=1, keepdims=True)
        return jnp.where(is_place, source.encode(source.params, lonlat), jnp.nan)

    places = jax.ShapeDtypeStruct(jax_export.symbolic_shape('n, 2'), jnp.float32)
    # Else accelerators would round the operands of the networks, and differ from what is checked.
    with jax.default_matmul_precision('highest'), _without_source_paths():
        exported = jax_export.export(jax.jit(gair_location), platforms=PLATFORMS)(places)
    # The function's name is the only text that the format keeps; JAX puts it into its errors.
    named = dataclasses.replace(exported, fun_name=json.dumps(source.metadata))
    path.write_bytes(named.serialize())


@contextlib.contextmanager
def _without_source_paths() -> Iterator[None]:
    """Programs lowered inside do not name the source files of this machine."""
    name = 'jax_traceback_in_locations_limit'
    limit = getattr(jax.config, name)
    jax.config.update(name, 0)
    try:
        yield
    finally:
        jax.config.update(name, limit)


def _read_stablehlo(path: pathlib.Path) -> Encode:
    exported = jax_export.deserialize(bytearray(path.read_bytes()))
    return lambda places: exported.call(jnp.asarray(places, jnp.float32))


def _write_onnx(path: pathlib.Path, source: Source) -> None:
    from gair_jax.serve import location_onnx

    made = location_onnx.model(source.weights, source.metadata)
    path.write_bytes(made.SerializeToString())


def _read_onnx(path: pathlib.Path) -> Encode:
    """By the reference evaluator, which comes with onnx."""
    from onnx.reference import ReferenceEvaluator

    evaluator: Any = ReferenceEvaluator(str(path))
    return lambda places: evaluator.run(None, {'lonlat': places})[0]


FORMATS = {
    '.npz': Format(_write_npz, _read_npz, float64=True),
    '.stablehlo': Format(_write_stablehlo, _read_stablehlo, float64=False),
    '.onnx': Format(_write_onnx, _read_onnx, float64=True),
}
