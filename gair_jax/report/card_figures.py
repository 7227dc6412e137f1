"""Pictures of a dataset card: where records lie, and how what was kept is spread."""

import pathlib

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from gair_jax.report import coastlines
from gair_jax.report.figures import new_figure, save

COLOUR = '#0b57a4'
MOST_CITIES = 4  # drawn one by one, the largest
WIDTH = 11.0  # inches
WORLD = (-180.0, -60.0, 180.0, 84.0)
MONTHS = tuple('JFMAMJJASOND')


def draw_map(records: pd.DataFrame, path: pathlib.Path) -> None:
    """The world with every record, and below it the cities that have most.

    Args:
      records: `lon`, `lat` (degrees) and `city_id` ('' none) of each.
      path: of the PNG.
    """
    cities = records.loc[records['city_id'] != '', 'city_id'].value_counts().index[:MOST_CITIES]
    figure = new_figure(WIDTH, 5.0 + (3.0 if len(cities) else 0.0))
    grid = figure.add_gridspec(2 if len(cities) else 1, MOST_CITIES)
    world = figure.add_subplot(grid[0, :])
    drawn = coastlines.draw(world, WORLD)
    size = np.clip(4e4 / max(len(records), 1), 1, 25)
    world.scatter(records['lon'], records['lat'], s=size, color=COLOUR, alpha=0.6, linewidths=0)
    west, south, east, north = WORLD
    world.set(xlim=(west, east), ylim=(south, north), aspect='equal')
    world.set_title(f'{len(records):,} records', fontsize=10)
    world.set_xlabel('' if drawn else coastlines.ABSENT, fontsize=8)
    for column, city in enumerate(cities):
        _city(figure.add_subplot(grid[1, column]), records[records['city_id'] == city], str(city))
    save(figure, path)


def _city(axes: Axes, records: pd.DataFrame, city: str) -> None:
    lat = float(records['lat'].mean())
    axes.scatter(records['lon'], records['lat'], s=8, color=COLOUR, alpha=0.8, linewidths=0)
    # A name may hold what matplotlib takes for mathematics.
    axes.set_title(f'{city}: {len(records):,}', fontsize=9, parse_math=False)
    axes.set_aspect(1 / max(np.cos(np.radians(lat)), 0.1))
    axes.tick_params(labelsize=6)
    axes.ticklabel_format(useOffset=False)
    axes.locator_params(nbins=3)


def draw_histograms(records: pd.DataFrame, scenes: pd.DataFrame, path: pathlib.Path) -> None:
    """How many records a city, dates a tile, clouds, months, years and headings.

    Args:
      records: `city_id`, `date` (ISO 8601, '' unknown) and `heading` (degrees, nan unknown).
      scenes: `tile`, `date` and `cloud` (0..1) of each date of a tile.
      path: of the PNG.
    """
    figure = new_figure(WIDTH, 5.6)
    panels = list(figure.subplots(2, 3).flat)
    cities = records.loc[records['city_id'] != '', 'city_id'].value_counts()
    _histogram(panels[0], cities.to_numpy(), 'records of a city', 'cities')
    _histogram(panels[1], scenes['tile'].value_counts().to_numpy(), 'dates of a tile', 'tiles')
    _histogram(panels[2], 100 * scenes['cloud'].to_numpy(), 'cloud over the tile, %', 'tile dates')
    months = scenes['date'].str[5:7].astype(int).value_counts().reindex(range(1, 13), fill_value=0)
    panels[3].bar(range(12), months.to_numpy(), color=COLOUR, tick_label=MONTHS)
    _named(panels[3], 'month of a tile date', 'tile dates', known=len(scenes))
    # Of a date that a service gives in another form no year is known.
    years = pd.to_numeric(records['date'].str[:4], errors='coerce').dropna().value_counts()
    panels[4].bar(years.index.to_numpy(), years.to_numpy(), color=COLOUR)
    panels[4].xaxis.set_major_locator(MaxNLocator(integer=True))
    _named(panels[4], 'year of a photo', 'photos', known=len(years))
    headings = records['heading'].dropna().to_numpy()
    panels[5].hist(headings, bins=24, range=(0, 360), color=COLOUR)
    panels[5].set_xticks([0, 90, 180, 270, 360])
    _named(panels[5], 'heading, degrees clockwise from north', 'photos', known=len(headings))
    save(figure, path)


def _histogram(axes: Axes, values: np.ndarray, what: str, of: str) -> None:
    axes.hist(values, bins=24, color=COLOUR)
    _named(axes, what, of, known=len(values))


def _named(axes: Axes, what: str, of: str, *, known: int) -> None:
    axes.set_xlabel(what, fontsize=9)
    axes.set_ylabel(of, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    if not known:
        axes.set(xticks=[], yticks=[])
        axes.text(0.5, 0.5, 'none known', ha='center', va='center', transform=axes.transAxes)
