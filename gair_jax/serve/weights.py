"""Parameters ready to use, from wherever they lie, and what they are."""

import dataclasses
import importlib
import os
import pathlib
from typing import Any, NamedTuple

import jax

from gair_jax.config import Config, InputError
from gair_jax.convert import files
from gair_jax.models.transformer import DTYPES
from gair_jax.models.vit import expect
from gair_jax.sensors import SensorContract
from gair_jax.serve import conversion
from gair_jax.train import checkpoint
from gair_jax.train.fingerprint import fingerprint

HUB = 'hf://'
OURS = 'gair_jax'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Origin:
    """Where parameters come from.

    Attributes:
      path: as the user gave it.
      source: layout they were converted from (`convert.sources`), or 'gair_jax': trained here.
      revision: of a hub; '' elsewhere.
      step: of training; -1 where it is not known.
      sha256: of the parameters: names, shapes and bytes.
    """

    path: str
    source: str
    revision: str
    step: int
    sha256: str


class Weights(NamedTuple):
    """A model's config, its parameters (on the first device), its sensor contracts by side."""

    config: Config
    params: dict[str, Any]
    contracts: dict[str, SensorContract]
    origin: Origin


def read(path: str | os.PathLike[str], *, revision: str = '', compute: str = '') -> Weights:
    """Reads weights.

    Args:
      path: workdir, step or converted checkpoint; .safetensors or .pth of a known layout; or
        hf://owner/name/file, which is fetched from the hub.
      revision: of the hub: the commit that is meant.
      compute: type that the transformers compute in, float32 or bfloat16; '' is that of training.

    Raises:
      InputError: there is nothing, or nothing that can be used; or `revision` is missing.
    """
    local = fetch(path, revision) if str(path).startswith(HUB) else path
    if files.is_state_file(local) and not pathlib.Path(local).is_dir():
        made = conversion.from_file(local)
        config, params, contracts = made.config, made.params, made.contracts
        params = jax.device_put(params, jax.local_devices()[0])
        source, step = made.layout.source, -1
    else:
        config, params, contracts = checkpoint.load(local)
        converted, name = checkpoint.origin(local), checkpoint.folder_of(local).name
        source = converted['layout']['source'] if converted else OURS
        step = int(name) if name.isdigit() and not converted else -1
    if compute:
        expect('compute', compute, tuple(DTYPES))
        config.model.dtype = compute
    origin = Origin(
        path=str(path), source=source, revision=revision, step=step, sha256=fingerprint(params)
    )
    # What the run demanded of its machine is not asked of this one.
    config.model.attention, config.model.rolled = 'auto', False
    return Weights(config, params, contracts, origin)


def fetch(path: str | os.PathLike[str], revision: str) -> str:
    """The local copy of hf://owner/name/file at a revision; fetched unless it is there already.

    Raises:
      InputError: no such name, no revision, no extra `hub`, or no network.
    """
    parts = str(path).removeprefix(HUB).split('/', 2)
    if len(parts) < 3 or not all(parts):
        raise InputError(f'{path}: expected hf://owner/name/file.')
    if not revision:
        raise InputError(f'{path}: expected a revision (a commit of the repository), found none.')
    try:
        hub = importlib.import_module('huggingface_hub')
    except ImportError as error:
        raise InputError(
            f"{path}: huggingface_hub is not installed: pip install 'gair_jax[hub]'."
        ) from error
    try:
        return hub.hf_hub_download('/'.join(parts[:2]), parts[2], revision=revision)
    except (OSError, ValueError) as error:  # what the library raises for a name, and offline
        cause = str(error).strip().split('\n')[0][:160] or type(error).__name__
        raise InputError(
            f'{path}: could not be fetched at revision {revision} ({cause}).'
        ) from error
