"""PANGAEA's UPerNet and time merging, and our variables {'params': ..., 'batch_stats': ...}.

Counters of batches (num_batches_tracked) have no place in ours: with a fixed momentum nothing reads
them.
"""

from gair_jax.convert.table import Rule, State, Tree, convert, linear, norm, same

UNUSED = ('*.num_batches_tracked',)


def batch_norm(target: str, source: str) -> list[Rule]:
    """A batch norm with its running statistics."""
    return [
        *norm(f'params/{target}', source),
        same(f'batch_stats/{target}/mean', f'{source}.running_mean'),
        same(f'batch_stats/{target}/var', f'{source}.running_var'),
    ]


def convolution(target: str, source: str) -> list[Rule]:
    """(out, in, row, column) becomes our (row, column, in, out)."""
    kernel = Rule(
        f'{source}.weight',
        (f'params/{target}/kernel',),
        lambda w: (w.transpose(2, 3, 1, 0),),
        lambda w: w.transpose(3, 2, 0, 1),
    )
    return [kernel, same(f'params/{target}/bias', f'{source}.bias')]


def transposed(target: str, source: str) -> list[Rule]:
    """(in, out, row, column) becomes our (row, column, in, out)."""
    kernel = Rule(
        f'{source}.weight',
        (f'params/{target}/kernel',),
        lambda w: (w.transpose(2, 3, 0, 1),),
        lambda w: w.transpose(2, 3, 0, 1),
    )
    return [kernel, same(f'params/{target}/bias', f'{source}.bias')]


def block(target: str, source: str, first: int = 0) -> list[Rule]:
    """A convolution and its batch norm, numbers `first` and the next of a sequence."""
    return [
        *convolution(f'{target}/conv', f'{source}.{first}'),
        *batch_norm(f'{target}/norm', f'{source}.{first + 1}'),
    ]


def neck(rescales: list[float]) -> list[Rule]:
    """The neck of levels that are resized so."""
    rules: list[Rule] = []
    for i, rescale in enumerate(rescales):
        if rescale >= 2:
            rules += transposed(f'neck_{i}/up_0', f'neck.ops.{i}.0')
        if rescale == 4:
            rules += batch_norm(f'neck_{i}/norm', f'neck.ops.{i}.1')
            rules += transposed(f'neck_{i}/up_1', f'neck.ops.{i}.3')
    return rules


def decoder(rescales: list[float], pools: int = 4) -> list[Rule]:
    """UPerNet over as many levels as `rescales`, with so many pooled sizes."""
    rules = neck(rescales)
    for i in range(pools):
        rules += block(f'pool_{i}', f'psp_modules.{i}', first=1)
    for i in range(len(rescales) - 1):
        rules += block(f'lateral_{i}', f'lateral_convs.{i}')
        rules += block(f'fpn_{i}', f'fpn_convs.{i}')
    rules += block('bottleneck', 'bottleneck') + block('fuse', 'fpn_bottleneck')
    return rules + convolution('logits', 'conv_seg')


def linear_time(source: str = 'tmap') -> list[Rule]:
    """The linear merging of dates, whose tree is the kernel and the bias alone."""
    kernel = Rule(f'{source}.weight', ('params/kernel',), lambda w: (w.T,), lambda w: w.T)
    return [kernel, same('params/bias', f'{source}.bias')]


def ltae(mlp: int = 1, source: str = '', target: str = '') -> list[Rule]:
    """PANGAEA's L-TAE with `mlp` layers; prefixes with their dot or slash."""
    ours = f'params/{target}'
    inner = Rule(
        f'{source}inconv.weight',
        (f'{ours}inner/kernel',),
        lambda w: (w[..., 0].T,),
        lambda w: w.T[..., None],
    )
    rules = [inner, same(f'{ours}inner/bias', f'{source}inconv.bias')]
    rules += [same(f'{ours}query', f'{source}attention_heads.Q')]
    rules += linear(f'{ours}key', f'{source}attention_heads.fc1_k')
    for name in ('in_norm', 'out_norm'):
        rules += norm(f'{ours}{name}', f'{source}{name}')
    for i in range(mlp):
        rules += linear(f'{ours}mlp_{i}', f'{source}mlp.{3 * i}')
        rules += batch_norm(f'{target}mlp_norm_{i}', f'{source}mlp.{3 * i + 1}')
    return rules


def variables(state: State, rules: list[Rule], template: Tree) -> Tree:
    """Our variables from the reference's keys.

    Raises:
      InputError: a key is missing, left over or of another shape.
    """
    return convert(state, rules, template, UNUSED)
