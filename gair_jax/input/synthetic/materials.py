"""What surfaces look like: reflectance in ten Sentinel-2 bands through the seasons.

A surface is a code: a plain material, a crop, a roof or a court colour. Codes index the table
REFLECTANCE [season, code, band]; every parcel also has a tint, which the satellite and the street
camera both see.
"""

import numpy as np

BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
RGB = (2, 1, 0)  # positions of red, green and blue in BANDS
SEASONS = ('summer', 'autumn', 'winter', 'spring')
SUMMER = 0

# Reflectance x 10000, drawn up after typical Sentinel-2 level 2A values.
_SOIL = (1050, 1300, 1700, 1900, 2050, 2150, 2250, 2350, 2900, 2600)
_GREEN = (550, 1000, 600, 1450, 3000, 3600, 3800, 3950, 1900, 1000)
_RIPE = (1150, 1900, 2500, 2600, 2750, 2850, 2950, 3050, 3000, 2200)
_CROWN = (420, 760, 480, 1150, 2700, 3200, 3400, 3500, 1700, 850)
_PLAIN = {
    'water': (850, 800, 560, 480, 400, 380, 350, 330, 250, 200),
    'sand': (1700, 2200, 2700, 2850, 2950, 3050, 3150, 3250, 3700, 3300),
    'asphalt': (1080, 1080, 1090, 1150, 1200, 1230, 1250, 1270, 1350, 1250),
    'gravel': (1350, 1550, 1800, 1900, 1980, 2030, 2080, 2120, 2400, 2200),
    'paving': (1750, 1800, 1850, 1900, 1950, 1980, 2000, 2020, 2100, 1950),
    'lawn': (650, 1150, 720, 1550, 2800, 3250, 3450, 3550, 2000, 1150),
    'meadow': (800, 1350, 1200, 1750, 2500, 2750, 2850, 2950, 2450, 1550),
    'floor': (600, 760, 800, 1000, 1400, 1600, 1700, 1750, 1700, 1150),
    'crown': _CROWN,
    'needles': (370, 540, 420, 700, 1400, 1600, 1700, 1750, 950, 500),
    'marking': (2700, 2750, 2800, 2800, 2800, 2800, 2800, 2800, 2700, 2600),
    'burnt': (500, 540, 600, 680, 780, 850, 900, 980, 1900, 1950),
}
_TURNED = (650, 1050, 1600, 1900, 2450, 2600, 2700, 2750, 2000, 1250)
_BARE = (720, 800, 920, 1050, 1300, 1400, 1450, 1500, 1800, 1400)
_FRESH = (500, 1050, 600, 1500, 2500, 2800, 2900, 3000, 1800, 950)
_PALE = (900, 1250, 1350, 1600, 2000, 2150, 2200, 2300, 2300, 1600)
ROOFS = {
    'tile': (800, 980, 2000, 2200, 2350, 2400, 2450, 2500, 2700, 2400),
    'slate': (950, 960, 980, 1000, 1020, 1040, 1060, 1080, 1300, 1200),
    'white': (2900, 2900, 2900, 2900, 2900, 2900, 2900, 2900, 2600, 2400),
    'blue': (2100, 1500, 950, 950, 1000, 1050, 1100, 1150, 1500, 1300),
    'rust': (650, 800, 1250, 1400, 1550, 1600, 1650, 1700, 2100, 1900),
    'copper': (1300, 1800, 1150, 1200, 1300, 1350, 1400, 1450, 1600, 1400),
}
# Walls, in the order of ROOFS, as red, green, blue: each way of building has its own plaster.
_WALLS = (
    (2500, 2150, 1300),
    (2000, 1150, 850),
    (1500, 1900, 2400),
    (2600, 2600, 2600),
    (2400, 1700, 750),
    (2300, 1700, 2000),
)
_COURTS = (
    (900, 850, 2400, 2500, 2550, 2600, 2600, 2600, 2300, 2000),
    (2300, 1400, 700, 700, 750, 780, 800, 820, 1000, 900),
    (1000, 2100, 900, 1000, 1200, 1300, 1350, 1400, 1500, 1300),
    (700, 1500, 2700, 2800, 2800, 2850, 2850, 2850, 2500, 2200),
)
# S soil, G green, R ripe in summer, autumn, winter, spring: on every single date each look is
# shared by three crops, and only the course tells all six apart.
CROPS = {
    'cereal': 'RSGG',
    'maize': 'GRSS',
    'beet': 'GSSG',
    'flax': 'RRGS',
    'fodder': 'GRGG',
    'millet': 'RSSS',
}

PLAIN = tuple(_PLAIN)
CODE = {name: i for i, name in enumerate(PLAIN)}
CROP = len(PLAIN)
ROOF = CROP + len(CROPS)
COURT = ROOF + len(ROOFS)
CODES = COURT + len(_COURTS)
COURT_COUNT = len(_COURTS)
WALL_RGB = np.array(_WALLS, np.float32) / 1e4
GREEN_CODES = np.array(
    [CODE[n] for n in ('lawn', 'meadow', 'floor', 'crown', 'needles')] + list(range(CROP, ROOF))
)
# What a tint of (light, warm, tone) = 1 adds to the reflectance of each band, as a share of it.
_TINT = np.array(
    [
        (0.55, 0.55, 0.55, 0.55, 0.45, 0.45, 0.45, 0.45, 0.45, 0.45),
        (-0.45, 0.00, 0.45, 0.30, 0.15, 0.10, 0.08, 0.06, 0.04, 0.00),
        (-0.18, 0.32, -0.18, 0.00, 0.10, 0.10, 0.10, 0.10, -0.10, -0.15),
    ],
    np.float32,
)
TINTS = len(_TINT)


def _table() -> np.ndarray:
    """REFLECTANCE: float32 [season, code, band], 0..1."""
    looks = {'S': _SOIL, 'G': _GREEN, 'R': _RIPE}
    rows = []
    for season in range(len(SEASONS)):
        plain = dict(_PLAIN)
        plain['crown'] = (_CROWN, _TURNED, _BARE, _FRESH)[season]
        if SEASONS[season] == 'winter':
            plain['meadow'] = plain['lawn'] = _PALE
        crops = [looks[course[season]] for course in CROPS.values()]
        rows.append([*plain.values(), *crops, *ROOFS.values(), *_COURTS])
    return np.array(rows, np.float32) / 1e4


REFLECTANCE = _table()


def _tint_share() -> np.ndarray:
    """TINT_SHARE: how much of its parcel's tint each code takes on; float32 [code, TINTS]."""
    share = np.ones((CODES, TINTS), np.float32)
    share[GREEN_CODES] = 1.0, 1.0, 0.6  # plants turn yellow or blue, hardly purple
    share[[CODE['water'], CODE['asphalt'], CODE['marking']]] = 0.8, 0.8, 0.8
    return share


TINT_SHARE = _tint_share()


def tinted(reflectance: np.ndarray, tint: np.ndarray, bands: tuple[int, ...]) -> np.ndarray:
    """Reflectance [..., len(bands)] under a tint [..., TINTS], each component about [-1, 1]."""
    return reflectance * np.maximum(1 + tint @ _TINT[:, list(bands)], np.float32(0.1))
