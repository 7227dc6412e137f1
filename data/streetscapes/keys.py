"""Hashes of keys: the order in which photos are taken, and which worker takes what.

Both depend on the key (and the seed) alone, so rows that a table gains or loses move no other.
"""

import hashlib

BITS = 64
PLACE = 'place'  # source of a row without a photo: it was drawn, and no service knows it


def order(seed: int, key: str) -> int:
    """Place of a photo in the order of taking: 64 bits of BLAKE2b of 'seed:key', 0..2**64 - 1."""
    return _hash(f'{seed}:{key}')


def worker_of(key: str, workers: int) -> int:
    """Which of `workers` >= 1 takes this key, 0..workers - 1."""
    assert workers >= 1, workers
    return _hash(key) % workers


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=BITS // 8).digest(), 'big')
