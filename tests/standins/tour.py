"""A made-up world that a model can learn from: places are real, all that is seen there is not.

The ground is a mixture of six covers, each of which has a spectrum; how much of each is there
follows from the place alone, in closed form: value noise over lengths from 300 km, by which cities
differ, down to 40 m. Scenes show it in ten bands, photos as one sees it when one stands on it.
"""

import datetime
import functools
import io
import math
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyproj
from PIL import Image

from gair_jax.builders.streetscapes.scenes_source import BANDS, SCL
from gair_jax.input.synthetic.noise import value_noise
from tests.standins import catalogue, photo_api, scene_files

# Names draw splits: of all twelve vienna and lima are in val, oslo and accra in test.
CITIES = {
    'paris': (2.3522, 48.8566),
    'nairobi': (36.8219, -1.2921),
    'tokyo': (139.7671, 35.6812),
    'vienna': (16.3738, 48.2082),
    'oslo': (10.7522, 59.9139),
    'lima': (-77.0428, -12.0464),
    'accra': (-0.1870, 5.6037),
    'sydney': (151.2093, -33.8688),
    'boston': (-71.0589, 42.3601),
    'delhi': (77.2090, 28.6139),
    'quito': (-78.4678, -0.1807),
    'singapore': (103.8198, 1.3521),
}
TOKEN = 'tour'
FIRST_ID = 900_000_000_000_001
MONTHS = 24  # of scenes: of 2023 and 2024
STREET, STEP_M = 10, 30.0  # photos of a street, and how far apart
SIZE = (320, 240)  # of photos, pixels, whose field of view is 90 degrees
EYE_M = 10.0  # of a mast: one sees far
SKY = (150, 190, 235)
# 10000 rho in BANDS: typical values, rounded; and what the same covers look like in photos.
SPECTRA = {
    'concrete': (1300, 1450, 1600, 1700, 1850, 1950, 2050, 2100, 2400, 2250),
    'tiles': (700, 900, 1600, 1900, 2100, 2250, 2350, 2450, 3000, 2700),
    'grass': (400, 750, 550, 1200, 2300, 2700, 2850, 3000, 2300, 1300),
    'trees': (280, 420, 290, 700, 1900, 2400, 2500, 2650, 1400, 650),
    'soil': (900, 1200, 1700, 2000, 2200, 2350, 2550, 2650, 3200, 2900),
    'water': (650, 600, 420, 380, 340, 320, 310, 300, 280, 260),
}
COLOURS = {
    'concrete': (160, 160, 165),
    'tiles': (185, 90, 65),
    'grass': (125, 175, 70),
    'trees': (35, 85, 40),
    'soil': (205, 175, 125),
    'water': (50, 95, 165),
}
GREEN = ('grass', 'trees')
OCTAVES = {300_000.0: 1.0, 900.0: 2.0, 270.0: 1.5, 90.0: 1.0, 40.0: 0.7}  # metres: weight
SHARPNESS = 5.0  # of the borders between covers


class Stand(NamedTuple):
    """Where a photo was taken: metres in the UTM zone, degrees from north, and when."""

    epsg: int
    x: float
    y: float
    heading: float
    time: datetime.datetime


def ground(x, y):
    """Shares of the covers [..., 6] and brightness (0.8..1.2) at places in metres, UTM."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    fields = [
        sum(w * value_noise(9 * k + i, x, y, m) for i, (m, w) in enumerate(OCTAVES.items()))
        for k in range(len(SPECTRA))
    ]
    shares = np.exp(SHARPNESS * np.stack(fields, axis=-1))
    return shares / shares.sum(axis=-1, keepdims=True), 0.8 + 0.4 * value_noise(999, x, y, 60.0)


@functools.lru_cache(maxsize=2 * len(CITIES))
def _seen(left, top, side, size):
    """`ground` of all pixels of `size` metres of a scene: the same in all bands, at all dates."""
    return ground(*scene_files.Scene(date='', left=left, top=top, side=side).centres(size))


def pixels(scene, band):
    """What a file of a `Scene` holds: no cloud anywhere, and the +1000 of its baseline."""
    size = 10 if band in scene_files.TEN_M else 20
    shares, bright = _seen(scene.left, scene.top, scene.side, size)
    if band == SCL:
        return np.full(bright.shape, scene_files.VEGETATION, np.uint8)
    return (reflectance(shares, bright, band, scene.date) + 1000).astype(np.uint16)


def reflectance(shares, bright, band, date):
    """10000 rho of what `ground` gives; beyond red, green is less in January than in July."""
    index = BANDS.index(band)
    season = 0.9 - 0.1 * math.cos(math.pi * (datetime.date.fromisoformat(date).month - 1) / 6)
    spectra = [
        spectrum[index] * (season if name in GREEN and index >= BANDS.index('B05') else 1.0)
        for name, spectrum in SPECTRA.items()
    ]
    return np.rint(shares @ np.array(spectra) * bright).astype(np.int64)


def dates(count):
    """`count` days in as many months of 2023 and 2024, evenly."""
    months = [number * MONTHS // count for number in range(count)]
    return [f'{2023 + month // 12}-{month % 12 + 1:02}-15' for month in months]


def scenes(cities, count):
    """`Scene`s of `count` dates around each of the first `cities`, 5 km wide."""
    made = []
    for number, place in enumerate(list(CITIES.values())[:cities]):
        zone = catalogue.scene_around(*place, '2023-01-01').mgrs[:3]
        how = {'mgrs': f'{zone}A{chr(ord("A") + number)}', 'pixels': pixels}
        how |= {'baseline': '05.10', 'carries': True, 'flag': 'no'}
        made += [catalogue.scene_around(*place, date, **how) for date in dates(count)]
    return made


def stands(cities, photos):
    """A table of `photos` of each city, within 1 km of its centre, and their `Stand`s by id."""
    rows, found = [], {}
    for number, (city, place) in enumerate(list(CITIES.items())[:cities]):
        epsg = catalogue.scene_around(*place, '2023-01-01').epsg
        utm = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
        centre = np.array(utm.transform(*place))
        for at in range(photos):
            name = str(FIRST_ID + number * 1_000_000 + at)
            stand = found[name] = _stand(epsg, centre, number, at)
            lon, lat = utm.transform(stand.x, stand.y, direction='INVERSE')
            where = {'lon': round(lon, 7), 'lat': round(lat, 7), 'time': stand.time.isoformat()}
            town = {'city': city, 'city_lon': place[0], 'city_lat': place[1]}
            sequence = f'{city}-{at // STREET}'
            head = {'id': name, 'source': 'mapillary', **where, 'heading': stand.heading}
            rows.append({**head, 'sequence': sequence, **town})
    return pd.DataFrame(rows), found


def _stand(epsg, centre, city, at):
    """A photo of a street: streets run in two directions, crosswise, and are 300 m long."""
    street, place = divmod(at, STREET)
    rng = np.random.default_rng([city, street])
    heading = 10.0 * city + 90.0 * (street % 2)
    ahead = np.array([math.sin(math.radians(heading)), math.cos(math.radians(heading))])
    middle = centre + rng.uniform(-500, 500, 2)
    x, y = middle + (place - (STREET - 1) / 2) * STEP_M * ahead
    day = datetime.timedelta(int(rng.integers(700)), 60 * place)
    return Stand(epsg, x, y, heading, datetime.datetime(2023, 1, 1, 10, tzinfo=datetime.UTC) + day)


@functools.lru_cache(maxsize=4096)
def picture(stand):
    """JPEG of the ground before one's feet, under a sky: a pinhole camera that looks level."""
    width, height = SIZE
    right = (np.arange(width) + 0.5) / (width / 2) - 1
    down = (np.arange(height // 2) + 0.5) / (width / 2)
    ahead = EYE_M / down[:, None]
    side = ahead * right
    sin, cos = math.sin(math.radians(stand.heading)), math.cos(math.radians(stand.heading))
    shares, bright = ground(stand.x + ahead * sin + side * cos, stand.y + ahead * cos - side * sin)
    image = np.empty((height, width, 3))
    image[: height - len(down)] = SKY
    image[height - len(down) :] = shares @ np.array([*COLOURS.values()]) * bright[..., None]
    buffer = io.BytesIO()
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(buffer, 'JPEG', quality=90)
    return buffer.getvalue()


def api(found, *, faults):
    """The service of the photos of `stands`; with `faults` those of the specification."""

    def facts(name):
        stand = found[name]
        when = {'captured_at': int(1000 * stand.time.timestamp())}
        heads = {'compass_angle': stand.heading, 'computed_compass_angle': stand.heading}
        return {**when, **heads, 'creator': {'username': 'synthetic', 'id': '0'}}

    def fault(name):
        if name not in found:
            return 'gone'
        return photo_api.by_hash(name) if faults else ''

    # A token is asked for, so that nobody gives this service one of theirs.
    return photo_api.PhotoApi(
        picture=lambda name: picture(found[name]), facts=facts, fault=fault, token=TOKEN
    )
