"""What the doctor's tests share: plausible pixels, and asking for one finding."""

import numpy as np

from gair_jax.serve import doctor

# Medians of a field in Sentinel-2 L2A, in the order of 12 bands; B10 is that of cirrus alone.
LEVELS = (500, 700, 1000, 1200, 1600, 2200, 2500, 2600, 2700, 2800, 2300, 1500)
B10 = 12


def pixels(height=64, width=64, levels=LEVELS, dark=300, seed=0):
    """uint16 [bands, height, width] around the levels, with some shadow."""
    draw = np.random.default_rng(seed)
    values = np.array(levels)[:, None, None] * draw.uniform(0.8, 1.2, (len(levels), height, width))
    values[:, :8, :8] = dark if dark < min(levels) else min(levels)
    return values.astype(np.uint16)


def levels_of_13(eurosat=False):
    """In nominal order, or with B8A at the end as in the EuroSAT originals."""
    b8a = LEVELS[8]
    if eurosat:
        return (*LEVELS[:8], LEVELS[9], B10, *LEVELS[10:], b8a)
    return (*LEVELS[:10], B10, *LEVELS[10:])


def texts(path, expected=None):
    return [finding.text for finding in doctor.examine(path, expected)]


def fine(path, expected=None):
    return [finding.level for finding in doctor.examine(path, expected)] == ['fine']


def only(path, level, *words, expected=None):
    """Asserts one finding of that level, in one sentence that names the file and has the words."""
    (finding,) = doctor.examine(path, expected)
    assert finding.level == level, finding
    assert finding.text.startswith(f'{path}: {level}: ') and finding.text.endswith('.'), finding
    assert '\n' not in finding.text
    for word in words:
        assert word in finding.text, finding
