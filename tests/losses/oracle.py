"""The paper's equations 2 to 4 in plain NumPy float64, one anchor at a time."""

import numpy as np


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def nce(anchor, positive, negatives, t):
    logits = np.array([cosine(anchor, c) / t for c in [positive, *negatives]])
    return float(np.log(np.exp(logits).sum()) - logits[0])


def mean(values):
    return sum(values) / len(values) if values else 0.0


def incl(z, g, t, valid, exclude):
    rows = np.flatnonzero(valid)

    def one_way(a, b):
        return mean(
            [nce(a[i], b[i], [b[j] for j in rows if j != i and not exclude[i, j]], t) for i in rows]
        )

    return (one_way(z, g) + one_way(g, z)) / 2


def secl(z, g, e, bank, t, denominator, has_rs, has_sv, exclude, exclude_bank):
    present = has_rs | has_sv

    def negatives(i):
        batch = [e[j] for j in range(len(e)) if j != i and present[j] and not exclude[i, j]]
        past = [b for b, out in zip(bank, exclude_bank[i], strict=True) if not out]
        return {
            'positive_and_bank': past,
            'batch_and_bank': batch + past,
            'batch_only': batch,
        }[denominator]

    def one_way(a, rows):
        return mean([nce(a[i], e[i], negatives(i), t) for i in np.flatnonzero(rows)])

    return (one_way(g, has_sv) + one_way(z, has_rs)) / 2
