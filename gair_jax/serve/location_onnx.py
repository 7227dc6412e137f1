"""The location encoder as an ONNX graph: double lonlat [n, 2] to float embedding [n, D].

Places, projection and phases are float64, the networks float32, as in `location_numpy`. A place
that is none (a latitude beyond the pole, say) gives NaN, since a graph cannot raise.

The projection is recorded by handing `geo.projection.equal_earth` values that write down what is
done to them, so its formula stands in one place. Opset 17 and IR 8 are those of 2022, which the
runtimes in use understand.
"""

import dataclasses
import json
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from gair_jax.geo.projection import equal_earth
from gair_jax.serve.location_numpy import Weights

OPSET, IR_VERSION = 17, 8
LIMITS = np.array([[180.0, 90.0]])  # degrees, of |lon| and |lat|


def model(weights: Weights, metadata: dict[str, Any]) -> onnx.ModelProto:
    """The checked model, with `metadata` as its properties (values in JSON, unless text)."""
    recorder = Recorder([], [])
    width = weights.biases[-1].shape[-1]
    _record(recorder, weights)
    graph = helper.make_graph(
        recorder.nodes,
        'gair_location',
        [helper.make_tensor_value_info('lonlat', TensorProto.DOUBLE, ['n', 2])],
        [helper.make_tensor_value_info('embedding', TensorProto.FLOAT, ['n', width])],
        recorder.constants,
        doc_string=f'{metadata["input"]}; gives {metadata["output"]}',
    )
    made = helper.make_model(
        graph,
        producer_name='gair_jax',
        producer_version=metadata['version'],
        ir_version=IR_VERSION,
        opset_imports=[helper.make_opsetid('', OPSET)],
    )
    text = {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    helper.set_model_props(made, text)
    onnx.checker.check_model(made, full_check=True)
    return made


class Recorder(NamedTuple):
    """What a graph is made of, in the order in which it was written down."""

    nodes: list[onnx.NodeProto]
    constants: list[onnx.TensorProto]

    def node(self, kind: str, *inputs: Any, called: str = '', **attributes: Any) -> 'Value':
        """The output of one more node, named `called` if that is given."""
        names = [self.value(x).name for x in inputs]
        out = called or f'{kind.lower()}_{len(self.nodes)}'
        self.nodes.append(helper.make_node(kind, names, [out], name=out, **attributes))
        return Value(self, out)

    def value(self, x: Any) -> 'Value':
        """A value as it is; an array, or a number as float64, as one more constant."""
        if isinstance(x, Value):
            return x
        name = f'constant_{len(self.constants)}'
        array = np.float64(x) if isinstance(x, int | float) else x
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return Value(self, name)


@dataclasses.dataclass(frozen=True)
class Value:
    """A tensor of the graph, with as much of arithmetic as `equal_earth` needs."""

    recorder: Recorder
    name: str
    # For those who read annotations at run time: what `equal_earth` takes and gives.
    shape = (1, 2)
    dtype = np.dtype(np.float64)

    def __add__(self, other: Any) -> 'Value':
        return self.recorder.node('Add', self, other)

    def __sub__(self, other: Any) -> 'Value':
        return self.recorder.node('Sub', self, other)

    def __mul__(self, other: Any) -> 'Value':
        return self.recorder.node('Mul', self, other)

    def __truediv__(self, other: Any) -> 'Value':
        return self.recorder.node('Div', self, other)

    __radd__, __rmul__ = __add__, __mul__

    def __getitem__(self, index: tuple[Any, int]) -> 'Value':
        """The column `[..., i]`, kept [n, 1]."""
        return self.recorder.node('Gather', self, np.array([index[1]]), axis=1)

    def function(self, kind: str, **attributes: Any) -> 'Value':
        """An operator of this value alone."""
        return self.recorder.node(kind, self, **attributes)


class Maths:
    """The functions that `equal_earth` asks of its array library."""

    @staticmethod
    def deg2rad(x: Value) -> Value:
        """Degrees to radians."""
        return x * (np.pi / 180)

    @staticmethod
    def sin(x: Value) -> Value:
        """Sine."""
        return x.function('Sin')

    @staticmethod
    def cos(x: Value) -> Value:
        """Cosine."""
        return x.function('Cos')

    @staticmethod
    def arcsin(x: Value) -> Value:
        """Arc sine of |x| < 0.9.

        Runtimes have it in float32 alone; one Newton step from there is float64.
        """
        t = x.function('Cast', to=TensorProto.FLOAT).function('Asin')
        t = t.function('Cast', to=TensorProto.DOUBLE)
        return t - (Maths.sin(t) - x) / Maths.cos(t)

    @staticmethod
    def stack(columns: list[Value], axis: int) -> Value:
        """Columns [n, 1] side by side."""
        return columns[0].recorder.node('Concat', *columns, axis=axis)


def _record(recorder: Recorder, weights: Weights) -> None:
    """Everything from the input `lonlat` to the output `embedding`."""
    lonlat = Value(recorder, 'lonlat')
    x = _fourier_features(equal_earth(lonlat, xp=Maths), weights.frequencies)
    last = len(weights.kernels) - 1
    for i, (kernel, bias) in enumerate(zip(weights.kernels, weights.biases, strict=True)):
        x = recorder.node('MatMul', x, kernel) + bias[:, None]
        x = x if i == last else x.function('Relu')
    embedding = recorder.node('ReduceSum', x, np.array([0]), keepdims=0)
    beyond = (lonlat.function('Abs') / LIMITS).function('ReduceMax', axes=[1], keepdims=1)
    is_place = recorder.node('LessOrEqual', beyond, 1.0)
    recorder.node('Where', is_place, embedding, np.float32(np.nan), called='embedding')


def _fourier_features(projected: Value, frequencies: np.ndarray) -> Value:
    """[cos, sin], float32 [S, n, 2 F]; whole turns go while the phase is float64."""
    turns = projected.recorder.node(
        'MatMul', projected, frequencies.astype(np.float64).swapaxes(1, 2)
    )
    phase = (turns - turns.function('Round')) * (2 * np.pi)
    phase = phase.function('Cast', to=TensorProto.FLOAT)
    return projected.recorder.node('Concat', Maths.cos(phase), Maths.sin(phase), axis=-1)
