"""`gair map`."""

import argparse
from typing import Any

from gair_jax.config import InputError
from gair_jax.verbs import checkpoint_arguments, scene_arguments


def add(verbs: Any) -> None:
    """Adds the verb to the sub-parsers `verbs`."""
    verb = verbs.add_parser(
        'map',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        help='a whole scene as a raster of embeddings, of similarity, or as a picture',
        description='Embeds a scene of any size, cell by cell, and writes a cloud-optimised GeoTIFF'
        '\nin its CRS. Windows overlap and are blended, so that no seam shows; memory does not grow'
        '\nwith the scene; a run that was killed goes on when the same command is given again.\n'
        '  --what embeddings   every component a band, float16, or int8 with scales (default)\n'
        '  --what similarity   cosine with one photo, place or vector; also a PNG\n'
        '  --what pca3         three principal components as red, green, blue; also a PNG',
        epilog='examples:\n'
        '  gair map scene.tif --checkpoint runs/quickstart --out scene_embeddings.tif\n'
        '  gair map scene.tif --checkpoint runs/quickstart --out picture.tif --what pca3 '
        '--spacing-m 80\n'
        '  gair map scene.tif --checkpoint runs/quickstart --out like.tif --what similarity '
        '--to-photo street.jpg',
    )
    verb.add_argument('scene', metavar='SCENE', help='GeoTIFF of any size, with a georeference')
    verb.add_argument('--out', required=True, help='file written, .tif')
    verb.add_argument('--what', default='embeddings', help='embeddings, similarity or pca3')
    verb.add_argument(
        '--dtype', default='', help='of embeddings: float16 (default), int8 or float32'
    )
    scene_arguments.add_spacing(verb, ' (default 8)')
    _add_targets(verb)
    scene_arguments.add(verb)
    verb.set_defaults(run=run)


def _add_targets(verb: argparse.ArgumentParser) -> None:
    target = verb.add_mutually_exclusive_group()
    target.add_argument('--to-photo', metavar='FILE', help='similarity to a street view photo')
    target.add_argument(
        '--to-place',
        metavar='LON,LAT',
        help='similarity to a place, degrees; a negative longitude needs =, --to-place=-83.2,42.5',
    )
    target.add_argument('--to-vector', metavar='FILE.npy', help='similarity to an embedding [d]')
    verb.add_argument(
        '--basis', default='', metavar='MAP.tif', help='pca3: components and colours of that map'
    )


def run(arguments: argparse.Namespace, rest: list[str]) -> int:
    """Maps, and says what was written."""
    size, unit = scene_arguments.spacing(arguments)
    if not arguments.out.endswith(('.tif', '.tiff')):
        raise InputError(f'{arguments.out}: expected a name that ends in .tif.')
    from gair_jax.serve import cells, layers, scene_map

    layers.check(arguments.what, arguments.dtype)
    sampling = scene_arguments.sampling(arguments, *(size, unit) if unit else cells.DEFAULT)
    embedder = checkpoint_arguments.load(arguments)
    written = scene_map.write(
        embedder,
        arguments.scene,
        arguments.out,
        sampling,
        what=arguments.what,
        dtype=arguments.dtype,
        target=_target(embedder, arguments),
        basis=arguments.basis,
        subtract=arguments.offset,
        band_order=arguments.band_order,
    )
    print(sentence(written))
    return 0


def sentence(written: Any) -> str:
    """What was written, how much and how long it took (`scene_map.Written`)."""
    rows, cols, bands = written.shape
    seen = f'{bands} {written.dtype} band{"s"[: bands > 1]}'
    text = f'{written.path}: {cols} x {rows} cells, {seen}'
    if written.dtype == 'int8':
        text += f', {written.clipped} values cut to the range of int8'
    if written.preview:
        text += f', picture in {written.preview}'
    return f'{text}; {scene_arguments.duration(written.seconds)}.'


def _target(embedder: Any, arguments: argparse.Namespace) -> Any:
    from gair_jax.serve import scene_map

    if arguments.to_photo:
        return scene_map.to_photo(embedder, arguments.to_photo)
    if arguments.to_place:
        place = scene_arguments.lonlat(arguments.to_place, '--to-place')
        return scene_map.to_place(embedder, place)
    return scene_map.to_vector(arguments.to_vector) if arguments.to_vector else None
