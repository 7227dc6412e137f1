"""What kind of file lies there, told by its first bytes; a name's ending decides nothing alone."""

import os
import pathlib
import zipfile

HEAD = 4096
_CONTAINERS = {
    b'\x1f\x8b': 'a gzip archive; unpack it first',
    b'PK\x03\x04': 'a zip or npz archive; unpack it first',
    b'\x89HDF': 'HDF5 or netCDF; expected a GeoTIFF, which gdal_translate makes of it',
    b'\x00\x00\x00\x0cjP  ': 'JPEG 2000; expected a GeoTIFF, which gdal_translate makes of it',
    b'\x93NUMPY': 'a NumPy array; the Python calls take it, the command line takes a GeoTIFF',
    b'%PDF': 'a PDF',
}
_TIFF = (b'II*\x00', b'MM\x00*', b'II+\x00', b'MM\x00+')
_PICTURES = (b'\xff\xd8\xff', b'\x89PNG', b'GIF8', b'BM', b'RIFF')
_ENDINGS = {
    '.tif': 'tile', '.tiff': 'tile', '.jpg': 'photo', '.jpeg': 'photo', '.png': 'photo',
    '.csv': 'table', '.parquet': 'table', '.py': 'config', '.safetensors': 'checkpoint',
    '.pth': 'checkpoint', '.pt': 'checkpoint',
}  # fmt: skip


def recognise(path: pathlib.Path) -> str:
    """'tile', 'photo', 'table', 'config', 'checkpoint' or 'data_set'; else 'no: what it is'."""
    if path.is_dir():
        return _folder(path)
    with path.open('rb') as file:
        head = file.read(HEAD)
    if not head:
        return 'no: an empty file'
    by_name = _ENDINGS.get(path.suffix.lower(), '')
    # A file whose own beginning is damaged is judged as what it is called.
    return _binary(path, head) or _text(head, by_name) or by_name or 'no: a file of unknown content'


def _binary(path: pathlib.Path, head: bytes) -> str:
    if head.startswith(_TIFF):
        return 'tile'
    if head.startswith(_PICTURES) or head[4:8] == b'ftyp':
        return 'photo'
    if head.startswith(b'PAR1'):
        return 'table'
    # A pickle of protocol 2 or later; and safetensors: the length of a header, then JSON.
    if head[:1] == b'\x80' and 2 <= head[1] <= 5 or head[8:9] == b'{' and head[5:8] == bytes(3):
        return 'checkpoint'
    if head.startswith(b'PK') and _is_torch(path):
        return 'checkpoint'
    return next(
        (f'no: {what}' for begin, what in _CONTAINERS.items() if head.startswith(begin)), ''
    )


def _text(head: bytes, by_name: str) -> str:
    if by_name == 'table' or head.startswith((b'\xff\xfe', b'\xfe\xff')):
        return 'table'
    if b'\x00' in head:
        return ''
    if by_name == 'config' or b'def get_config' in head:
        return 'config'
    lines = head.splitlines()[:2]
    marks = (b',', b';', b'\t')
    # Prose has commas too, but not as many in the next line.
    counts = [{line.count(mark) for line in lines} for mark in marks]
    alike = any(len(count) == 1 and count != {0} for count in counts)
    return 'table' if alike and len(lines) == 2 and all(lines) else ''


def _is_torch(path: pathlib.Path) -> bool:
    """Whether a zip is one that torch saved; one cut short has lost its directory."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith('data.pkl') for name in archive.namelist())
    except zipfile.BadZipFile:
        return _ENDINGS.get(path.suffix.lower()) == 'checkpoint'


def _folder(path: pathlib.Path) -> str:
    names = set(os.listdir(path))
    if {'dataset_info.json', 'features.json'} & names or any(path.glob('**/dataset_info.json')):
        return 'data_set'
    steps = {'checkpoints', 'best', '_CHECKPOINT_METADATA', 'params', 'config.json'}
    if steps & names or any(name.split('.')[0].isdigit() for name in names):
        return 'checkpoint'
    if path.name.isdigit() or '.orbax-checkpoint-tmp' in path.name:
        return 'checkpoint'
    if any(name.endswith('.staging') for name in names):
        return 'data_set'
    return f'no: a folder of {len(names)} files'
