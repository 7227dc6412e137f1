"""The data sets that the project knows: those of the paper by task, and others beside them."""

from typing import NamedTuple

PAPER_COUNT = 22
COUNTING = (
    f'The paper counts {PAPER_COUNT} data sets for its nine tasks and gives no list. Here Global '
    'Streetscapes counts once for its three tasks, each of the ten indicators once, BirdSnap once '
    'with the one or the other places, and every other set once: {counted}. That the paper counts '
    'so is our reading.'
)
TASKS = (
    'burn scars',
    'field boundaries',
    'crop types',
    'indicators',
    'perception',
    'platform',
    'view direction',
    'species of a place',
    'numbers of a place',
)


class Dataset(NamedTuple):
    """A data set.

    name: as `gair data` takes it.
    text: what it is.
    command: builds it; '' if nothing does.
    state: 'built in', or why it is not built or not whole.
    origin: where its files are published.
    tasks: for each task of the paper (`TASKS`) that it is for, the name of the task in the
      prepared set; '' where it is not built.
    counted: how many of the paper's data sets it stands for.
    """

    name: str
    text: str
    command: str
    state: str
    origin: str
    tasks: tuple[tuple[str, str], ...] = ()
    counted: int = 0


TORCHSPATIAL = 'TorchSpatial (LocBench), DOI 10.6084/m9.figshare.26026798'
BUILT = 'built in'
_OF_PLACES = 'no builder takes labels of places without a photo or tile'
_SPECIES, _NUMBERS = TASKS[-2:]
# Task of the paper ('' for none), what it is, and how many data sets of the paper.
_PLACES = {
    'birdsnap': (_SPECIES, 'species from place: BirdSnap', 1),
    'birdsnap_ebird': (_SPECIES, 'species from place: BirdSnap with eBird places', 0),
    'nabirds': (_SPECIES, 'species from place: NABirds with eBird places', 1),
    'inat2017': (_SPECIES, 'species from place: iNaturalist 2017', 1),
    'inat2018': (_SPECIES, 'species from place: iNaturalist 2018', 1),
    'mosaiks_population': (_NUMBERS, 'population from place: MOSAIKS', 1),
    'mosaiks_elevation': (_NUMBERS, 'elevation from place: MOSAIKS', 1),
    'mosaiks_forest_cover': (_NUMBERS, 'forest cover from place: MOSAIKS', 1),
    'mosaiks_nightlights': (_NUMBERS, 'night lights from place: MOSAIKS', 1),
    'yfcc': ('', 'scenes from place: YFCC', 0),
    'fmow': ('', 'land use from place: fMoW', 0),
}


def list_datasets() -> list[Dataset]:
    """Every data set that can be built, and those of the paper that cannot yet."""
    return [*_own(), *_of_tiles(), *_of_street_views(), *_of_places()]


def _own() -> list[Dataset]:
    """Those of no task of the paper."""
    return [
        Dataset(
            'synthetic_world',
            'a made-up world with tiles, street views and labels of all nine tasks; not real',
            'gair data build synthetic_world --variant=tiny',
            BUILT,
            'made here',
        ),
        Dataset(
            'photos',
            'your own photos, Sentinel-2 tiles and places, from a table and files',
            'gair data build photos --table=TABLE --root=FOLDER --columns=photo=COLUMN,tile=COLUMN',
            BUILT,
            'yours',
        ),
        Dataset(
            'labelled',
            'your own labels of photos or tiles: classes, numbers, masks',
            'gair data build labelled --source=TABLE --target=COLUMN',
            BUILT,
            'yours',
        ),
        Dataset(
            'eurosat_rgb',
            'EuroSAT true-colour chips with coordinates and ten land covers (tile + place)',
            'gair data build eurosat_rgb --source=FOLDER',
            BUILT,
            'EuroSAT with coordinates',
        ),
        Dataset(
            'eurosat_ms',
            'EuroSAT chips of 13 bands with ten land covers (tile + place)',
            'gair data build eurosat_ms --source=FOLDER',
            BUILT,
            'phelber/EuroSAT, EuroSATallBands.zip; lists of splits: torchgeo/eurosat on the hub',
        ),
        Dataset(
            'streetscapes1m',
            'triples of tile, street view and place, on which the paper pre-trains',
            '',
            'no builder yet, and the triples themselves are not published',
            'to be made from Global Streetscapes and Sentinel-2',
        ),
    ]


def _of_tiles() -> list[Dataset]:
    return [
        Dataset(
            'hls_burn_scars',
            '804 HLS scenes at 30 m with masks of burnt ground (tile)',
            'gair data build hls_burn_scars --source=FOLDER',
            BUILT,
            'ibm-nasa-geospatial/hls_burn_scars on the Hugging Face hub',
            (('burn scars', 'burn_scars'),),
            1,
        ),
        Dataset(
            'ai4smallfarms',
            'Sentinel-2 tiles of Cambodia and Vietnam with masks of fields (tile)',
            'gair data build ai4smallfarms --source=FOLDER',
            BUILT,
            'DANS data station, DOI 10.17026/dans-xy6-ngg6',
            (('field boundaries', 'field_boundaries'),),
            1,
        ),
        Dataset(
            'crop_type_south_sudan',
            'Sentinel-2 series of South Sudan with masks of crops, places unknown (tile)',
            'gair data build crop_type_south_sudan --source=FOLDER',
            BUILT,
            'SustainBench (sustainlab-group/sustainbench), africa_crop_type_mapping_v1.0',
            (('crop types', 'crop_type'),),
            1,
        ),
    ]


def _of_street_views() -> list[Dataset]:
    return [
        Dataset(
            'global_streetscapes',
            'street views with perception, platform and view direction (photo + place)',
            'gair data build global_streetscapes --source=FOLDER --images=FOLDER --labels=KIND',
            BUILT,
            'NUS-UAL/global-streetscapes on the Hugging Face hub; photos: Mapillary, KartaView',
            (
                ('perception', 'perception'),
                ('platform', 'platform'),
                ('view direction', 'view_direction'),
            ),
            1,
        ),
        Dataset(
            'indicators',
            'street views with socio-economic indicators of their block groups (photo)',
            'gair data build indicators --source=FOLDER',
            'of your own photos, as those of the paper are not public',
            'tables: brookefzy/urban-visual-intelligence',
            (('indicators', 'one a column'),),
            10,
        ),
    ]


def _of_places() -> list[Dataset]:
    """Those that are scored from the place, with features of images where they have some."""
    return [
        Dataset(name, text, '', _OF_PLACES, TORCHSPATIAL, ((task, ''),) if task else (), counted)
        for name, (task, text, counted) in _PLACES.items()
    ]
