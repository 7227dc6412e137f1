"""What an encoder of places answered on test, a row each: what maps and geo-bias scores are of.

Columns: lon and lat in degrees; label and answer, names of classes or numbers; of classes `right`.
Of several seeds, numbers are the mean. Classes are the first seed's: a vote over seeds would be a
classifier of its own, and better than each that was scored.
"""

import os
import pathlib
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gair_jax.transfer.place_rows import Parts, Places


def table(places: Places, rows: Parts, answers: np.ndarray) -> pa.Table:
    """The test rows in the order of the table.

    Args:
        places: all rows.
        rows: of each part.
        answers: of test; class int [seeds, n], or float [seeds, n, 1].
    """
    lonlat, targets = places.lonlat[rows.test], places.targets[rows.test]
    columns = {'lon': lonlat[:, 0], 'lat': lonlat[:, 1]}
    if places.classes:
        names, first = np.array(places.classes), answers[0]
        columns |= {'label': names[targets], 'answer': names[first], 'right': targets == first}
    else:
        columns |= {'label': targets[:, 0], 'answer': answers.mean(axis=0)[:, 0]}
    return pa.table(columns)


def write(answers: pa.Table, path: pathlib.Path) -> None:
    """Writes Parquet, whole or not at all."""
    part = path.with_name(f'{path.name}.part')
    pq.write_table(answers, part, compression='zstd')
    os.replace(part, path)


def publish(kept: pathlib.Path, path: pathlib.Path) -> None:
    """Copies what a run kept under a key to where people look for it, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    shutil.copyfile(kept, part)
    os.replace(part, path)
