"""What a Streetscapes build reads, keeps and asks for (configs/data/)."""

import dataclasses

from gair_jax.config import setting


@dataclasses.dataclass(kw_only=True)
class PlacesConfig:
    """Which photos are planned."""

    table: str = setting(
        '', 'run', 'CSV or Parquet of photos, or the folder of the Global Streetscapes tables'
    )
    per_city: int = setting(0, 'run', 'photos of a city at most; 0: all')
    spread: bool = setting(
        True, 'run', 'what short cities lack is taken from others, evenly; off: it is lacking'
    )
    box: tuple[float, ...] = setting(
        (), 'run', 'west, south, east, north in degrees, outside which rows are left out; () none'
    )
    quality: bool = setting(False, 'run', "leave out quality 'very poor' (a model's own word)")
    day: bool = setting(False, 'run', 'leave out night, dusk and dawn')
    outdoors: bool = setting(False, 'run', 'leave out tunnels')
    least_width: int = setting(0, 'run', 'of an original photo, pixels; 0: any')
    thin_m: float = setting(
        0.0, 'run', 'one photo of a sequence in each cell of this side, metres; 0: all'
    )
    most_moved_m: float = setting(
        0.0, 'run', 'largest distance of the given from the computed position, metres; 0: any'
    )
    seed: int = setting(0, 'run', 'of the order in which photos are taken')
    raster: str = setting(
        '', 'run', 'instead of a table: GHS-SMOD, from which places without photos are drawn'
    )
    count: int = setting(200_000, 'run', 'raster: places that are drawn, half of them urban')
    blocks: int = setting(2000, 'run', 'raster: squares of 100 km in which they are drawn')
    strata: tuple[str, ...] = setting(
        (), 'run', 'raster: rasters of codes over whose values rural places are spread evenly'
    )


@dataclasses.dataclass(kw_only=True)
class TilesConfig:
    """How the ground is cut."""

    layout: str = setting('native', 'run', 'native (UTM, 10 m) or release (z14 tile in degrees)')
    margin: int = setting(95, 'run', 'native: pixels of 10 m around the photos of a tile')
    chip: int = setting(128, 'run', 'native: side of a packed chip, pixels; 0: whole tiles')
    cell: int = setting(32, 'run', 'native: grid on which chips are centred, pixels')


@dataclasses.dataclass(kw_only=True)
class ScenesConfig:
    """Which Sentinel-2 scenes are read, and from where."""

    source: str = setting(
        'earth_search', 'run', 'earth_search, planetary_computer, stac (url) or earth_engine'
    )
    url: str = setting('', 'run', "catalogue; '' is the source's own")
    collection: str = setting('', 'run', "'' is the source's own")
    start: str = setting('2017-01-01', 'run', 'first day, ISO 8601')
    end: str = setting('2024-12-31', 'run', 'last day')
    most_cloud: float = setting(20.0, 'run', 'of a scene, per cent')
    most_nodata: float = setting(0.01, 'run', 'of a tile, share')
    period: str = setting('month', 'run', 'in which scenes compete: month or season (MAM, ..)')
    per_period: int = setting(1, 'run', 'scenes of a period and tile')
    most_dates: int = setting(0, 'run', 'of a tile, those with least cloud in it; 0: all')


@dataclasses.dataclass(kw_only=True)
class PhotosConfig:
    """How photos are asked for and kept."""

    folder: str = setting('', 'run', 'photos at hand, named by their id; asked before any service')
    width: int = setting(1024, 'run', 'thumbnail that is asked for: 256, 1024 or 2048 pixels')
    side: int = setting(336, 'run', 'shorter side that is kept, pixels; 0: as it comes')
    quality: int = setting(90, 'run', 'of the JPEG that is kept, 1..95')
    views: int = setting(4, 'run', 'perspective views cut from a panorama: 1 (random yaw) or 4')
    field_of_view: float = setting(90.0, 'run', 'of a view, degrees')
    rate: float = setting(50.0, 'run', 'requests a second to a service, of all workers together')
    connections: int = setting(32, 'run', 'at a time')
    tries: int = setting(6, 'run', 'of a request that fails in passing')
    mapillary_url: str = setting('https://graph.mapillary.com', 'run', 'of the Mapillary API')
    kartaview_url: str = setting('https://api.openstreetcam.org', 'run', 'of the KartaView API')
    removed: str = setting('', 'run', 'file of ids, one a line, that are never packed')


@dataclasses.dataclass(kw_only=True)
class StreetscapesConfig:
    """A Streetscapes build, from a table of photos to a prepared data set."""

    places: PlacesConfig = dataclasses.field(default_factory=PlacesConfig)
    tiles: TilesConfig = dataclasses.field(default_factory=TilesConfig)
    scenes: ScenesConfig = dataclasses.field(default_factory=ScenesConfig)
    photos: PhotosConfig = dataclasses.field(default_factory=PhotosConfig)
    variant: str = setting('default', 'run', 'name of the prepared set')
    synthetic: bool = setting(False, 'run', 'what the sources give is made up, and the set says so')
    fractions: tuple[float, float, float] = setting(
        (0.8, 0.1, 0.1), 'run', 'of cities, or blocks of places, in train, val and test'
    )
