"""Location encoders of TorchSpatial (Wu et al. 2024) and of geo_prior (Mac Aodha et al. 2019)."""

from gair_jax.convert.table import Rule, linear, norm

# Frozen, and part of the encoding here.
UNUSED = ('*position_encoder.dirvec', '*position_encoder.shift')


def feed_forward(hidden: int, source: str = 'spa_enc.', target: str = 'network') -> list[Rule]:
    """`place_networks.FeedForward` with so many hidden layers."""
    layer = f'{source}ffn.layers.'
    table = linear(f'{target}/out', f'{layer}{hidden}.linear')
    for i in range(hidden):
        table += linear(f'{target}/hidden_{i}', f'{layer}{i}.linear')
        table += norm(f'{target}/norm_{i}', f'{layer}{i}.layernorm')
    return table


def residual(blocks: int = 4, source: str = '', target: str = 'network') -> list[Rule]:
    """`place_networks.Residual`: the encoder 'wrap'."""
    table = linear(f'{target}/first', f'{source}feats.0')
    for i in range(blocks):
        block = f'{source}feats.{i + 2}'
        table += linear(f'{target}/block_{i}_in', f'{block}.w1')
        table += linear(f'{target}/block_{i}_out', f'{block}.w2')
    return table


def tile(source: str = 'spa_enc.position_encoder.', target: str = 'tile') -> list[Rule]:
    """`place_networks.Tile`."""
    return [Rule(f'{source}embedding.weight', (f'{target}/cells/embedding',))]


def presence(users: bool, source: str = '', target: str = 'presence') -> list[Rule]:
    """`place_networks.Presence`."""
    table = linear(f'{target}/class_weights', f'{source}class_emb', bias=False)
    return table + (
        linear(f'{target}/user_weights', f'{source}user_emb', bias=False) if users else []
    )


def mosaiks(image: int, head: int, target: str = 'regressor') -> list[Rule]:
    """`place_networks.MosaiksRegressor` ; two modules without weights between layers."""
    table = presence(False, 'loc_enc.', f'{target}/place')
    for name, source, hidden in (('image', 'cnn_ffn', image), ('head', 'regress_ffn', head)):
        for i in range(hidden):
            table += linear(f'{target}/{name}/hidden_{i}', f'{source}.{3 * i}')
        table += linear(f'{target}/{name}/out', f'{source}.{3 * hidden}')
    return table
