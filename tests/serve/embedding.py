"""Embedding a table in a test, and looking at what came of it."""

import numpy as np
import pyarrow.parquet as pq

from gair_jax.serve import embed
from gair_jax.serve.embed import EmbedOptions
from tests.builders import scenes

CLOSE = {'rtol': 1e-5, 'atol': 2e-5}
KINDS = ('location', 'sv', 'rs', 'localized')


def table_of(folder, rows, name='t.csv'):
    return scenes.write_table(folder / name, rows)


def run(model, folder, rows, **options):
    """Embeds rows; returns what was written, and the output table."""
    table = table_of(folder, rows) if isinstance(rows, list) else rows
    made = embed.write(model, table, folder / 'o.parquet', EmbedOptions(root=folder, **options))
    return made, pq.read_table(made.path)


def vectors(table, kind):
    """float32 [n, d], nan for null."""
    column = table[f'embedding_{kind}'].combine_chunks()
    found = np.full((len(column), column.type.list_size), np.nan, np.float32)
    known = np.asarray(column.is_valid())
    found[known] = column.flatten().to_numpy().reshape(-1, column.type.list_size)
    return found
