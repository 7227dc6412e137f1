"""The data sets that the project knows: what they are, how they are built, where they come from."""

from typing import NamedTuple

CAPTION = (
    'The paper counts 22 data sets without listing them. A row here is a data set; the perception, '
    'platform and view direction of global_streetscapes, and each indicator, are tasks of one.'
)


class Dataset(NamedTuple):
    """A data set: its name, what it is, the command that builds it ('' if none), state, origin."""

    name: str
    text: str
    command: str
    state: str
    origin: str


TORCHSPATIAL = 'TorchSpatial, DOI 10.6084/m9.figshare.26026798'
_PLACES = {
    'birdsnap': 'species from place: BirdSnap',
    'birdsnap_ebird': 'species from place: BirdSnap with eBird places',
    'nabirds': 'species from place: NABirds with eBird places',
    'inat2017': 'species from place: iNaturalist 2017',
    'inat2018': 'species from place: iNaturalist 2018',
    'yfcc': 'scenes from place: YFCC',
    'fmow': 'land use from place: fMoW',
    'mosaiks_population': 'population from place: MOSAIKS',
    'mosaiks_elevation': 'elevation from place: MOSAIKS',
    'mosaiks_forest_cover': 'forest cover from place: MOSAIKS',
    'mosaiks_nightlights': 'night lights from place: MOSAIKS',
}


def list_datasets() -> list[Dataset]:
    """Every data set that can be built, and those of the paper that cannot yet."""
    return [
        Dataset(
            'synthetic_world',
            'a made-up world with tiles, street views and labels of all nine tasks; not real',
            'gair data build synthetic_world --variant=tiny',
            'built in',
            'made here',
        ),
        Dataset(
            'photos',
            'your own photos, Sentinel-2 tiles and places, from a table and files',
            'gair data build photos --table=TABLE --root=FOLDER --columns=photo=COLUMN,tile=COLUMN',
            'built in',
            'yours',
        ),
        Dataset(
            'eurosat_rgb',
            'EuroSAT true-colour chips with coordinates and ten land covers (tile + place)',
            'gair data build eurosat_rgb --source=FOLDER',
            'built in',
            'EuroSAT with coordinates',
        ),
        Dataset(
            'hls_burn_scars',
            'HLS Burn Scars: 804 scenes at 30 m with masks of burnt ground (tile)',
            'gair data build hls_burn_scars --source=FOLDER',
            'built in',
            'ibm-nasa-geospatial/hls_burn_scars on the Hugging Face hub',
        ),
        Dataset(
            'ai4smallfarms',
            'AI4SmallFarms: Sentinel-2 tiles of Cambodia and Vietnam with masks of fields (tile)',
            'gair data build ai4smallfarms --source=FOLDER',
            'built in',
            'DANS data station, DOI 10.17026/dans-xy6-ngg6',
        ),
        Dataset(
            'crop_type_south_sudan',
            'crop types of South Sudan: Sentinel-2 series with masks, places unknown (tile)',
            'gair data build crop_type_south_sudan --source=FOLDER',
            'built in',
            'SustainBench (sustainlab-group/sustainbench)',
        ),
        Dataset(
            'global_streetscapes',
            'street views with perception, platform and view direction',
            'gair data build global_streetscapes --source=FOLDER --images=FOLDER --labels=KIND',
            'built in',
            'NUS-UAL/global-streetscapes on the Hugging Face hub; photos: Mapillary, KartaView',
        ),
        Dataset(
            'indicators',
            'street views with socio-economic indicators of block groups',
            'gair data build indicators --source=FOLDER',
            'photos not public',
            'tables: brookefzy/urban-visual-intelligence; its photos are not public',
        ),
        Dataset(
            'labelled',
            'your own labels of photos or tiles: classes, numbers, masks',
            'gair data build labelled --source=TABLE --target=COLUMN',
            'built in',
            'yours',
        ),
        Dataset(
            'streetscapes1m',
            'triples of tile, street view and place for pre-training',
            '',
            'planned',
            'Global Streetscapes and Sentinel-2',
        ),
        *_of_places(),
    ]


def _of_places() -> list[Dataset]:
    """Those that are scored from the place, with features of images where they have some."""
    return [Dataset(name, text, '', 'planned', TORCHSPATIAL) for name, text in _PLACES.items()]
