"""State dicts on disk: .safetensors and torch's .pth, read without running what they hold.

torch and safetensors (extra `convert`) are imported only when such a file is touched. A file of
torch's is a pickle; it is read with `weights_only=True`, which builds tensors and plain containers
and nothing else.
"""

import argparse
import dataclasses
import importlib
import json
import os
import pathlib
import pickle
import re
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from gair_jax.config import InputError
from gair_jax.convert.table import State

TORCH = ('.pth', '.pt', '.bin', '.ckpt', '.tar')
ENDINGS = ('.safetensors', *TORCH)
# What a training script puts around a state dict, the first that is there.
WRAPPERS = ('model', 'state_dict', 'teacher', 'model_state_dict')
# Under it, in what this project writes, stand the config and the sensor contracts.
RECORD = 'gair_jax'
# Entries of the outermost dict under which training scripts keep what a model is built with.
SETTINGS = ('hyper_parameters', 'params')
# How torch's messages name what a pickle would build or run.
FORBIDDEN = re.compile(r'GLOBAL ([\w.]+)|(?:class|function) ([\w.]+)|Unsupported (operand \d+)')


@dataclasses.dataclass(frozen=True, kw_only=True)
class StateFile:
    """A state dict and how its file holds it.

    Attributes:
      state: key -> array, in the types of the file; nested dicts are joined by dots.
      wrapper: the entry of the file that holds it; '' is the file itself.
      groups: the entries that were dicts of their own.
      ignored: what else the file holds: entries of its outermost dict that are no tensors.
      record: what this project wrote beside it.
      settings: names, numbers and lists that the model was built with, by the file's own names.
    """

    state: State
    wrapper: str = ''
    groups: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    record: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def is_state_file(path: str | os.PathLike[str]) -> bool:
    """Whether the ending is that of a state dict."""
    return pathlib.Path(path).suffix in ENDINGS


def read(path: str | os.PathLike[str]) -> StateFile:
    """Reads a state dict.

    Raises:
      InputError: the file is absent, of another kind, damaged, or holds more than tensors; or the
        extra `convert` is not installed.
    """
    path = pathlib.Path(path)
    if path.suffix not in ENDINGS:
        raise InputError(f'{path}: expected a file ending in {", ".join(ENDINGS)}.')
    if not path.is_file():
        raise InputError(f'{path}: no such file.')
    found = _read_safetensors(path) if path.suffix == '.safetensors' else _read_torch(path)
    if not found.state:
        raise InputError(f'{path}: expected a state dict, found no tensor in it.')
    return found


def write(path: str | os.PathLike[str], file: StateFile) -> None:
    """Writes a state dict in the form that its ending names; it appears whole or not at all.

    A file of torch's gets its wrapper and groups again. The record stands in the metadata of a
    .safetensors, and in a file of torch's beside its wrapper, where there is one.
    """
    path = pathlib.Path(path)
    if path.suffix not in ENDINGS:
        raise InputError(f'{path}: expected a name ending in {", ".join(ENDINGS)}.')
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + '.part')
    try:
        if path.suffix == '.safetensors':
            _write_safetensors(part, file)
        else:
            _write_torch(part, file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_settings(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What a model was built with, from a JSON file; InputError where that is none."""
    try:
        values = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise InputError(f'{path}: no readable JSON file ({_first_line(error)}).') from error
    if not isinstance(values, dict):
        raise InputError(f'{path}: expected a JSON object, found {type(values).__name__}.')
    if odd := [name for name, value in values.items() if not _plain(value)]:
        raise InputError(f'{path}: {odd[0]}: expected a text, a number or a list of them.')
    return values


def _need(module: str) -> Any:
    """A module of the extra `convert`."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition('.')[0]
        raise InputError(
            f'{name} is not installed, and reads and writes these files: pip install '
            "'gair_jax[convert]'."
        ) from error


def _read_safetensors(path: pathlib.Path) -> StateFile:
    library = _need('safetensors')
    try:
        with library.safe_open(path, framework='np') as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no dict)
            record = (file.metadata() or {}).get(RECORD, '{}')
    except (library.SafetensorError, TypeError) as error:
        raise InputError(
            f'{path}: no readable .safetensors file ({_first_line(error)}).'
        ) from error
    return StateFile(state=state, record=_parsed(record, path))


def _write_safetensors(path: pathlib.Path, file: StateFile) -> None:
    library = _need('safetensors.numpy')
    state = {key: np.array(value, order='C') for key, value in file.state.items()}
    metadata = {'format': 'pt'} | ({RECORD: json.dumps(file.record)} if file.record else {})
    library.save_file(state, path, metadata=metadata)


def _read_torch(path: pathlib.Path) -> StateFile:
    torch = _need('torch')
    held = _unpickled(torch, path)
    if not isinstance(held, Mapping):
        raise InputError(f'{path}: expected a dict of tensors, found {type(held).__name__}.')
    wrapper = next((w for w in WRAPPERS if isinstance(held.get(w), Mapping)), '')
    inner = held[wrapper] if wrapper else held
    state, groups = {}, []
    for key, value in inner.items():
        if isinstance(value, torch.Tensor):
            state[str(key)] = _array(torch, value)
        elif isinstance(value, Mapping) and _all_tensors(torch, value):
            groups.append(str(key))
            state |= {f'{key}.{name}': _array(torch, t) for name, t in value.items()}
    others = [k for k in inner if k not in state and k not in groups]
    built_with = [k for k in SETTINGS if wrapper and isinstance(held.get(k), Mapping)]
    others += [k for k in held if k not in (wrapper, RECORD, *built_with)] if wrapper else []
    return StateFile(
        state=state,
        wrapper=wrapper,
        groups=tuple(groups),
        ignored=tuple(str(k) for k in others),
        record=_parsed(held.get(RECORD, '{}'), path) if wrapper else {},
        settings={name: v for k in built_with for name, v in held[k].items() if _plain(v)},
    )


def _plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_plain(each) for each in value)
    return isinstance(value, str | int | float)


def _unpickled(torch: Any, path: pathlib.Path) -> Any:
    """What the file holds; training scripts like to keep their arguments in it, an inert object."""
    try:
        with torch.serialization.safe_globals([argparse.Namespace]), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as error:
        if found := FORBIDDEN.search(str(error)):
            culprit = found[found.lastindex or 0]
            raise InputError(
                f'{path}: holds Python objects beside tensors ({culprit}), which are never built '
                'or run; save the state dict alone.'
            ) from error
        raise InputError(f'{path}: no readable file of torch ({_first_line(error)}).') from error
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise InputError(f'{path}: no readable file of torch ({_first_line(error)}).') from error


def _write_torch(path: pathlib.Path, file: StateFile) -> None:
    torch = _need('torch')
    state: dict[str, Any] = {}
    for key, value in file.state.items():
        group, dot, name = key.partition('.')
        if dot and group in file.groups:
            state.setdefault(group, {})[name] = _tensor(torch, value)
        else:
            state[key] = _tensor(torch, value)
    if file.wrapper:
        record = {RECORD: json.dumps(file.record)} if file.record else {}
        state = {file.wrapper: state, **record}
    torch.save(state, path)


def _all_tensors(torch: Any, values: Mapping[str, Any]) -> bool:
    return bool(values) and all(isinstance(value, torch.Tensor) for value in values.values())


def _array(torch: Any, tensor: Any) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:  # NumPy has it through ml_dtypes alone
        return tensor.detach().contiguous().view(torch.int16).numpy().view(_bfloat16())
    return tensor.detach().numpy()


def _tensor(torch: Any, array: np.ndarray) -> Any:
    array = np.array(array, order='C')  # a writable copy: torch would warn of any other
    if array.dtype == _bfloat16():
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def _bfloat16() -> np.dtype:
    import ml_dtypes

    return np.dtype(ml_dtypes.bfloat16)


def _parsed(text: Any, path: pathlib.Path) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except (TypeError, ValueError) as error:
        raise InputError(f'{path}: its record {RECORD!r} is no JSON ({error}).') from error
    return record if isinstance(record, dict) else {}


def _first_line(error: BaseException) -> str:
    text = re.split(r'\n|\. ', str(error).strip())[0][:120]
    return f'{type(error).__name__}: {text}' if text else type(error).__name__
