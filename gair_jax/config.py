"""What can be set, with unit, range and source.

Plain keyword-only dataclasses, read-only by convention. Every field says through `affects` where it
acts, and a test holds it to that:

  model, loss, optimizer   the compiled training step, or the initial parameters
  input                    the batches
  speed                    the compiled training step, but no number beyond rounding
  run                      none of these: where things are written, how often, how they are read

A run resumes with other settings of the last two classes, and with no others.

The three named presets are in `gair_jax.presets`.
"""

import dataclasses
from typing import Any

AFFECTS = ('model', 'loss', 'optimizer', 'input', 'speed', 'run')


class InputError(ValueError):
    """Something the user gave cannot be used; the message is one sentence that says what and where.

    The command line prints the sentence and exits with code 2.
    """


def setting(default: Any, affects: str, text: str) -> Any:
    """A dataclass field that says where it acts (`AFFECTS`) and what it means."""
    assert affects in AFFECTS, affects
    return dataclasses.field(default=default, metadata={'affects': affects, 'help': text})


def _section(kind: type) -> Any:
    return dataclasses.field(default_factory=kind)


def section_of(field: dataclasses.Field) -> type | None:
    """The dataclass that a field of a config holds, or None for a single setting."""
    factory = field.default_factory
    return factory if isinstance(factory, type) else None


@dataclasses.dataclass(kw_only=True)
class DataConfig:
    """Which prepared data set is read (`gair data build` writes it)."""

    dir: str = setting('prepared', 'run', 'folder that holds prepared data sets')
    name: str = setting('synthetic_world', 'input', 'builder: synthetic_world, photos, eurosat_rgb')
    variant: str = setting('tiny', 'input', 'which build of it (gair data build --variant)')
    train_split: str = setting('train', 'input', 'split that is trained on')
    eval_split: str = setting('val', 'run', 'split of the validation losses')
    balance: str = setting('none', 'input', 'none, or group: every city drawn equally often')
    sample: str = setting('', 'input', 'file of `gair data sample`: rows trained on; empty: all')
    threads: int = setting(4, 'run', 'reading threads, >= 1; never changes a batch')


@dataclasses.dataclass(kw_only=True)
class RsInputConfig:
    """How a remote sensing tile becomes network input."""

    sensor: str = setting('sentinel2_10', 'model', 'sensor contract (gair_jax.sensors.CONTRACTS)')
    window: int = setting(96, 'input', 'side of the window cut from the tile, in its pixels')
    placement: str = setting('random', 'input', 'random, centre, anywhere; whole: resized')
    size: int = setting(96, 'input', 'side of the network input, pixels (resized to)')
    kernel: str = setting(
        'cubic_antialias', 'input', 'cubic_antialias (a = -0.5), cubic (-0.75), linear_antialias'
    )
    flip: float = setting(0.5, 'input', 'probability of a horizontal flip, which moves xy too')
    jitter: float = setting(0.7, 'input', 'probability of colour jitter')
    jitter_brightness: float = setting(0.2, 'input', 'brightness factor drawn from 1 +- this')
    jitter_contrast: float = setting(0.2, 'input', 'contrast factor drawn from 1 +- this')
    jitter_bands: tuple[str, ...] = setting(('B02', 'B03', 'B04'), 'input', 'jittered bands')
    scaling: str = setting(
        'contract', 'input', "contract (the sensor's), or z_score or gair: by the data's statistics"
    )
    dates: int = setting(1, 'input', 'dates of the tile; above 1: the latest, newest first')


@dataclasses.dataclass(kw_only=True)
class SvInputConfig:
    """How a street view photo becomes network input."""

    sensor: str = setting(
        'street_view_rgb', 'input', 'sensor contract (gair_jax.sensors.CONTRACTS)'
    )
    size: int = setting(224, 'input', 'side of the network input, pixels')
    kernel: str = setting('cubic_antialias', 'input', 'cubic_antialias (a = -0.5) or cubic (-0.75)')
    flip: float = setting(0.5, 'input', 'probability of a horizontal flip')
    jitter: float = setting(0.3, 'input', 'probability of colour jitter')
    jitter_brightness: float = setting(0.1, 'input', 'brightness factor drawn from 1 +- this')
    jitter_contrast: float = setting(0.1, 'input', 'contrast factor drawn from 1 +- this')
    jitter_saturation: float = setting(0.1, 'input', 'saturation factor drawn from 1 +- this')
    jitter_hue: float = setting(0.1, 'input', 'largest turn of hue, share of the circle, 0..0.5')


@dataclasses.dataclass(kw_only=True)
class NoiseConfig:
    """Von Mises-Fisher noise on positions (paper section 5.4)."""

    kappa: float = setting(0.0, 'input', 'concentration; 0 is off, 300 moves a point about 460 km')
    target: str = setting('location', 'input', 'location: lonlat alone; both: xy is redrawn too')


@dataclasses.dataclass(kw_only=True)
class InputConfig:
    """From record to batch."""

    rs: RsInputConfig = _section(RsInputConfig)
    sv: SvInputConfig = _section(SvInputConfig)
    noise: NoiseConfig = _section(NoiseConfig)
    augment: bool = setting(True, 'input', 'off: no flip, no jitter, first date, centred window')
    date: str = setting('random', 'input', 'random or first: which date of the tile is read')


@dataclasses.dataclass(kw_only=True)
class EncoderConfig:
    """A vision transformer; 0 in dim, depth, heads or mlp_dim means that of `size`."""

    enabled: bool = setting(True, 'model', 'off: the model has no such encoder')
    size: str = setting('B', 'model', 'Ti, S, B or L (dim 192, 384, 768, 1024)')
    dim: int = setting(0, 'model', 'width of the tokens')
    depth: int = setting(0, 'model', 'number of layers')
    heads: int = setting(0, 'model', 'attention heads; must divide dim')
    mlp_dim: int = setting(0, 'model', 'hidden width of the feed-forward blocks')
    patch: int = setting(16, 'model', 'side of a patch, pixels of the network input')
    position: str = setting('learned', 'model', 'learned, sincos or alibi (2-D distance bias)')
    class_token: bool = setting(False, 'model', 'put a learned token before the patches')
    qkv_bias: bool = setting(True, 'model', 'biases on queries, keys and values')
    norm_eps: float = setting(1e-6, 'model', 'epsilon of the layer norms')
    final_norm: bool = setting(True, 'model', 'layer norm after the last layer')
    pooling: str = setting(
        'mean', 'model', 'mean (of patches), class, pooler (tanh), mean_norm (norm after the mean)'
    )
    attention_dropout: float = setting(0.0, 'model', 'dropout on attention weights, 0..1')
    hidden_dropout: float = setting(0.0, 'model', 'dropout after projections, 0..1')


@dataclasses.dataclass(kw_only=True)
class PlaceSizes:
    """Sizes of the location encoders other than GeoCLIP's; 0 is an encoder's own."""

    hidden: tuple[int, ...] = setting((512,), 'model', 'widths of hidden layers')
    activation: str = setting(
        'leaky_relu', 'model', 'of feed-forward networks: leaky_relu, relu, sigmoid, tanh, gelu'
    )
    frequencies: int = setting(0, 'model', 'of encodings with scales; of rff')
    min_radius: float = setting(0.0, 'input', 'smallest radius of encodings with scales')
    max_radius: float = setting(0.0, 'input', 'largest radius of encodings with scales')
    degrees: int = setting(20, 'model', 'of spherical harmonics')
    form: str = setting('analytic', 'input', "of harmonics: analytic (SatCLIP's) or normalised")
    anchors: int = setting(200, 'model', 'of rbf')
    kernel: float = setting(
        0.0,
        'model',
        "standard deviation: of rbf, degrees; of rff's directions, for places in -1..1",
    )
    cell: float = setting(2.0, 'model', 'side of a cell of tile, degrees')
    extent: tuple[float, float, float, float] = setting(
        (-180.0, 180.0, -90.0, 90.0), 'model', 'of tile and rff: west, east, south, north, degrees'
    )


@dataclasses.dataclass(kw_only=True)
class LocationConfig:
    """Places to embeddings: GeoCLIP's encoder (paper 3.3), or another of `gair places`."""

    enabled: bool = setting(True, 'model', 'off: no location encoder, so no SECL (w/o Loc)')
    encoder: str = setting('geoclip', 'model', 'a name of gair places; all but geoclip read sizes')
    sigma: tuple[float, ...] = setting((1.0, 16.0, 256.0), 'model', 'geoclip: scale of each branch')
    frequencies: int = setting(256, 'model', 'geoclip: frequencies a branch')
    hidden: tuple[int, ...] = setting((1024,) * 3, 'model', 'geoclip: hidden widths of a branch')
    sizes: PlaceSizes = _section(PlaceSizes)


@dataclasses.dataclass(kw_only=True)
class NiliConfig:
    """How the tile's patch grid is read at a point (paper 3.2)."""

    kind: str = setting('nili', 'model', 'nili, bilinear, bicubic, mean (w/o NILI) or attention')
    hidden: tuple[int, ...] = setting((256,) * 4, 'model', 'ReLU widths of H; () is affine')
    schedule: str = setting('gather', 'model', 'gather (few queries) or convolve (many)')
    padding: str = setting('border', 'model', 'of bilinear and bicubic: border or zeros')
    coordinates: str = setting('centred', 'model', 'centred, or history (transposed, [0, 1])')
    layers: int = setting(2, 'model', 'layers of the attention query')
    heads: int = setting(8, 'model', 'heads of the attention query')


@dataclasses.dataclass(kw_only=True)
class MaeConfig:
    """Masked autoencoding (He et al. 2022, paper 5.5); used when loss.objective is mae."""

    mask_ratio: float = setting(0.75, 'model', 'share of RS patches that is masked, 0..1')
    norm_pixels: bool = setting(True, 'model', 'targets normalised within each patch')
    photo: bool = setting(True, 'model', 'the photo is one more masked patch, at its xy')
    photo_side: int = setting(16, 'model', 'side of the photo target, pixels')
    decoder_dim: int = setting(512, 'model', 'decoder width')
    decoder_depth: int = setting(8, 'model', 'decoder layers')
    decoder_heads: int = setting(16, 'model', 'decoder attention heads')


@dataclasses.dataclass(kw_only=True)
class ModelConfig:
    """The three encoders, NILI and what is common to them."""

    embed_dim: int = setting(768, 'model', 'width of the common embedding')
    rs: EncoderConfig = _section(EncoderConfig)
    sv: EncoderConfig = _section(EncoderConfig)
    location: LocationConfig = _section(LocationConfig)
    nili: NiliConfig = _section(NiliConfig)
    mae: MaeConfig = _section(MaeConfig)
    projections: tuple[str, ...] = setting((), 'model', 'projected sides: rs, sv, location')
    clip_hidden: int = setting(0, 'model', "width of CLIP features for GeoCLIP's head; 0: no head")
    dtype: str = setting('float32', 'model', 'of the transformers: float32 or bfloat16')
    remat: str = setting('none', 'speed', 'recompute in the backward pass: none, dots or full')
    rolled: bool = setting(False, 'speed', 'layers as one rolled loop: compiles fast, runs slower')
    attention: str = setting('auto', 'speed', 'auto, plain or cudnn (NVIDIA GPUs, bfloat16 alone)')


@dataclasses.dataclass(kw_only=True)
class HeadConfig:
    """What a label is learnt with, and from what; used when loss.objective is label.

    `gair transfer` sets the first five from what a data set says of a task.
    """

    label: str = setting('', 'input', 'label of the records that is learnt')
    target: str = setting('class', 'loss', 'class, regression or mask')
    outputs: int = setting(2, 'model', 'classes, or numbers of a regression; 1 for a mask: a logit')
    mean: tuple[float, ...] = setting((), 'input', 'of each number of a regression; () is 0')
    std: tuple[float, ...] = setting((), 'input', 'of each number of a regression; () is 1')
    features: tuple[str, ...] = setting(('sv',), 'model', 'joined: sv, rs (at the point), location')
    kind: str = setting('linear', 'model', 'linear; nonlinear: two layers, a sigmoid between')
    decoder: str = setting('upernet', 'model', 'of masks: upernet, or of patches linear, nonlinear')
    merging: str = setting('linear', 'model', 'of dates before the masks decoder: linear or ltae')
    levels: tuple[int, ...] = setting(
        (3, 5, 7, 11), 'model', 'layers, from 0, that a decoder reads'
    )
    channels: int = setting(512, 'model', 'width of UPerNet, which decodes masks')
    loss: str = setting('cross_entropy', 'loss', 'of masks: cross_entropy or dice')
    selection: str = setting('miou', 'run', 'of masks, what chooses the best: miou, iou_1, loss')
    frozen: bool = setting(False, 'optimizer', 'the encoders stay as they are')
    encoder_rate: float = setting(1.0, 'optimizer', 'rate of the encoders, in rates of the head')


@dataclasses.dataclass(kw_only=True)
class LossConfig:
    """INCL + weight x SECL (paper equations 2 to 4), MAE, or a label (`HeadConfig`)."""

    objective: str = setting('gair', 'loss', 'gair, mae or label')
    incl_weight: float = setting(1.0, 'loss', 'weight of tile against photo')
    secl_weight: float = setting(0.5, 'loss', 'lambda: weight of place against tile and photo')
    secl_denominator: str = setting(
        'positive_and_bank', 'loss', 'positive_and_bank, batch_and_bank or batch_only'
    )
    temperature: float = setting(0.07, 'loss', 'softmax temperature, > 0')
    learn_temperature: bool = setting(False, 'loss', 'train the temperature, from the value above')
    distillation: float = setting(0.0, 'loss', 'weight of cosines with the start encoders')
    mask_same_tile: bool = setting(False, 'loss', 'photos of the anchor tile are no negatives')
    mask_radius_m: float = setting(0.0, 'loss', 'nearer places are no negatives; 0 is off')
    groups: int = setting(1, 'loss', 'rows are negatives within their part of the batch; 1: all')
    products: str = setting('float32', 'loss', 'of cosines: float32, or bfloat16 (sums in float32)')
    form: str = setting('auto', 'speed', 'plain, chunked (no large array), ring, or auto: by size')


@dataclasses.dataclass(kw_only=True)
class BankConfig:
    """The memory bank of past places (paper 3.4)."""

    size: int = setting(4096, 'loss', 'slots; 0 is no bank')
    content: str = setting('positions', 'loss', 'positions (re-encoded) or embeddings')
    start: str = setting('empty', 'loss', 'empty (masked), or null_island (random, as in history)')


@dataclasses.dataclass(kw_only=True)
class OptimizerConfig:
    """AdamW with linear warm-up and cosine decay (paper section 4)."""

    name: str = setting('adamw', 'optimizer', 'adamw or sgd')
    rate: float = setting(1.5e-6, 'optimizer', 'peak learning rate at rate_batch')
    rate_batch: int = setting(256, 'optimizer', 'rate is scaled by batch / this; 0: used as it is')
    b1: float = setting(0.9, 'optimizer', 'decay of the first moment')
    b2: float = setting(0.999, 'optimizer', 'decay of the second moment')
    weight_decay: float = setting(0.01, 'optimizer', 'decoupled decay; not on norms and biases')
    decay_all: bool = setting(False, 'optimizer', 'norms and biases are decayed too')
    warmup: float = setting(0.05, 'optimizer', 'share of the run with linearly rising rate, 0..1')
    schedule: str = setting(
        'cosine', 'optimizer', 'after warm-up: cosine (to zero), constant, or steps (x 0.1 at '
        'shares 0.6 and 0.9 of the run)'
    )  # fmt: skip
    clip: float = setting(0.0, 'optimizer', 'largest global gradient norm; 0 is off')


@dataclasses.dataclass(kw_only=True)
class InitConfig:
    """Checkpoints to start from, whole or by subtree; empty: drawn anew."""

    rs: str = setting('', 'run', 'checkpoint whose RS encoder is taken')
    sv: str = setting('', 'run', 'checkpoint whose street view encoder is taken')
    location: str = setting('', 'run', 'checkpoint whose location encoder is taken')
    all: str = setting('', 'run', 'checkpoint whose every parameter is taken')


@dataclasses.dataclass(kw_only=True)
class CheckpointConfig:
    """When training saves."""

    every: int = setting(1000, 'run', 'steps between checkpoints, >= 1')
    keep: int = setting(3, 'run', 'newest checkpoints kept, beside the best one')
    keep_every: int = setting(0, 'run', 'steps whose checkpoints are all kept too; 0: none')


@dataclasses.dataclass(kw_only=True)
class MeshConfig:
    """How devices share the work; batches are always split over all of them."""

    fsdp: int = setting(1, 'run', 'devices that split parameters and optimiser state; 1: all whole')
    whole_below: int = setting(65536, 'run', 'leaves of fewer numbers stay whole on each device')
    memory_gib: float = setting(0.0, 'run', 'what a device has, GiB; 0: as it says itself')


@dataclasses.dataclass(kw_only=True)
class EvalConfig:
    """Validation during training, with the training loss itself."""

    every: int = setting(1000, 'run', 'steps between validations; 0 is off')
    batches: int = setting(8, 'run', 'most batches read a validation')


@dataclasses.dataclass(kw_only=True)
class LogConfig:
    """Metrics: JSON lines and TensorBoard in the workdir, a progress bar on a terminal."""

    every: int = setting(10, 'run', 'steps between metric lines, >= 1')
    tensorboard: bool = setting(True, 'run', 'write TensorBoard event files')


@dataclasses.dataclass(kw_only=True)
class Config:
    """A training run: pre-training, or of a label."""

    seed: int = setting(0, 'model', 'seeds parameters, order, windows and augmentation')
    batch: int = setting(256, 'input', 'global batch size')
    epochs: float = setting(100.0, 'optimizer', 'length of the run in passes over the data')
    steps: int = setting(0, 'optimizer', 'length of the run in steps; 0: from epochs')
    accumulation: int = setting(1, 'speed', 'parts that a batch goes through the encoders in')
    data: DataConfig = _section(DataConfig)
    input: InputConfig = _section(InputConfig)
    model: ModelConfig = _section(ModelConfig)
    head: HeadConfig = _section(HeadConfig)
    loss: LossConfig = _section(LossConfig)
    bank: BankConfig = _section(BankConfig)
    optimizer: OptimizerConfig = _section(OptimizerConfig)
    init: InitConfig = _section(InitConfig)
    mesh: MeshConfig = _section(MeshConfig)
    checkpoint: CheckpointConfig = _section(CheckpointConfig)
    eval: EvalConfig = _section(EvalConfig)
    log: LogConfig = _section(LogConfig)
