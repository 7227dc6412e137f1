"""The layouts that are understood: how each is told from its keys, its config, its table.

Keys keep the names that they have in the file, prefixes such as 'module.' included, so that what is
read can be written again under the same names.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from gair_jax.config import Config, InputError
from gair_jax.convert import (
    croma,
    gair_release,
    geoclip,
    hugging_face,
    place_sizes,
    satclip,
    sizes,
    timm_vit,
    torchspatial,
)
from gair_jax.convert.table import Rule, State, Tree


@dataclasses.dataclass(frozen=True, kw_only=True)
class Layout:
    """How one file spells its source.

    Attributes:
      source: name of it in `SOURCES`.
      prefix: what stands before the source's own names.
      spelling: release of transformers that named the street view layers, '4' or '5'; '' without.
      head: of GeoCLIP, what stands before the names of its image head; None without one.
      norm: of a ViT, 'norm', or 'fc_norm' where it follows the pooling.
      settings: what the model was built with, as far as the source has `settings`.
    """

    source: str
    prefix: str = ''
    spelling: str = ''
    head: str | None = None
    norm: str = 'norm'
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A layout of weights.

    Attributes:
      name: for `--source` and on record.
      what: for people.
      part: the sub-tree of ours that it is about; '' is the whole model.
      sign: found in a key of every such file; what it calls `prefix` is the layout's.
      marks: patterns of keys, after the prefix, one of which must be there too; () asks for none.
      without: patterns of keys, after the prefix, none of which may be there.
      layout, config, rules, unused: the layout, the config (under a preset) and the table.
      absent: patterns, without prefix, of the names that another model of ours would lack.
      settings: names of what the arrays do not tell, which the file or the user says.
      encoders: location encoders of ours that it can hold; () where it has no place for one.
    """

    name: str
    what: str
    part: str = ''
    sign: str
    marks: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    layout: Callable[[State, Layout], Layout] = lambda state, layout: layout
    config: Callable[[State, Layout, str], Config]
    rules: Callable[[Tree, Layout], list[Rule]]
    unused: Callable[[Tree, Layout], tuple[str, ...]]
    absent: Callable[[Tree], Iterable[str]] = lambda tree: ()
    settings: tuple[str, ...] = ()
    encoders: tuple[str, ...] = ()


def recognise(state: State, name: str = '') -> Layout:
    """The layout of a state dict; with `name`, as that source.

    Raises:
      InputError: none fits, or `name` is none or does not fit.
    """
    if name:
        source(name)
    for candidate in SOURCES.values():
        prefix = _prefix(candidate, state, named=bool(name))
        if prefix is not None and name in ('', candidate.name):
            layout = Layout(source=candidate.name, prefix=prefix)
            return candidate.layout(state, layout)
    first = ', '.join(list(state)[:3]) or 'no array'
    raise InputError(
        f'weights: expected {name or "one of the layouts " + ", ".join(SOURCES)}, found keys such '
        f'as {first}.'
    )


def source(name: str) -> Source:
    """The source of that name; InputError lists the known ones."""
    if name not in SOURCES:
        raise InputError(f'source: expected one of {", ".join(SOURCES)}, found {name!r}.')
    return SOURCES[name]


def _prefix(candidate: Source, state: State, named: bool) -> str | None:
    """What stands before the names of a source in a state dict, or None if it is not that source.

    A source that the user named need not bear its marks.
    """
    hits = (re.match(candidate.sign, key) for key in state)
    hit = next((hit for hit in hits if hit), None)
    if hit is None:
        return None
    prefix = hit['prefix']
    names = [key[len(prefix) :] for key in state if key.startswith(prefix)]
    marked = not candidate.marks or _any(names, candidate.marks)
    return prefix if named or (marked and not _any(names, candidate.without)) else None


def _any(names: list[str], patterns: tuple[str, ...]) -> bool:
    return any(re.match(pattern, name) for pattern in patterns for name in names)


def _gair(name: str, what: str, marks: tuple[str, ...] = ()) -> Source:
    def layout(state: State, layout: Layout) -> Layout:
        spelling = hugging_face.spelling(state, layout.prefix + gair_release.SV)
        return dataclasses.replace(layout, spelling=spelling)

    return Source(
        name=name,
        what=what,
        sign=r'(?P<prefix>(module\.)?)rs_encoder\.s2_encoder\.',
        marks=marks,
        layout=layout,
        config=lambda state, at, preset: sizes.gair(state, at.prefix, at.spelling, preset),
        rules=lambda tree, at: gair_release.rules(tree, at.prefix, at.spelling or '4'),
        unused=lambda tree, at: gair_release.unused(tree, at.prefix),
        absent=gair_release.absent,
        encoders=('geoclip',),
    )


def _vit(
    name: str,
    what: str,
    sensor: str,
    *,
    prefix: str = r'(module\.)?',
    marks: tuple[str, ...] = (),
    without: tuple[str, ...] = (),
) -> Source:
    def layout(state: State, layout: Layout) -> Layout:
        after = f'{layout.prefix}fc_norm.weight' in state
        return dataclasses.replace(layout, norm='fc_norm' if after else 'norm')

    return Source(
        name=name,
        what=what,
        part='sv',
        sign=rf'(?P<prefix>{prefix})blocks\.0\.(norm|attn|mlp)',
        marks=marks,
        without=without,
        layout=layout,
        config=lambda state, at, preset: sizes.vit(state, at.prefix, sensor),
        rules=lambda tree, at: timm_vit.rules(tree['sv'], at.prefix, norm_name=at.norm),
        unused=lambda tree, at: timm_vit.unused(at.prefix),
        absent=lambda tree: timm_vit.UNUSED,
    )


def _geoclip_layout(state: State, layout: Layout) -> Layout:
    """GeoCLIP publishes its parts as three files; its class names them together."""
    heads = (key.removesuffix('2.weight') for key in state if re.fullmatch(HEAD, key))
    return dataclasses.replace(layout, head=next(heads, None))


def _geoclip_rules(tree: Tree, layout: Layout) -> list[Rule]:
    hidden = geoclip.hidden_layers(tree['location'])
    table = geoclip.rules(hidden, layout.prefix)
    return table + (geoclip.image_head(layout.head or '') if 'clip' in tree else [])


def _taxabind_layout(state: State, layout: Layout) -> Layout:
    """The encoder is an attribute of the class that trains it, or stands alone."""
    inner = f'{layout.prefix}location_encoder.'
    held = any(key.startswith(inner) for key in state)
    return dataclasses.replace(layout, prefix=inner) if held else layout


def _taxabind_unused(tree: Tree, layout: Layout) -> tuple[str, ...]:
    outer = layout.prefix.removesuffix('location_encoder.')
    return tuple(outer + name for name in geoclip.TAXABIND_UNUSED)


def _satclip_layout(state: State, layout: Layout) -> Layout:
    return dataclasses.replace(layout, prefix=satclip.whole(state, layout.prefix))


# The last layer of GeoCLIP's image head, in its own file or in the class.
HEAD = r'(module\.)?(image_encoder\.)?(mlp\.)?2\.weight'

SOURCES = {
    made.name: made
    for made in (
        _gair(
            'gair_history',
            'GAIR, saved by the earlier training code',
            (
                r'rs_encoder_teacher\.',
                r'sv_encoder_teacher\.',
                r'ContrastLoss\.',
                r'rs_encoder\.s2_encoder\.transformer\.norm_out\.',
                'queue_for_rs_encoding',
            ),
        ),
        _gair('gair_release', 'GAIR, the official checkpoint'),
        Source(
            name='croma',
            what='CROMA, base or large: the optical encoder',
            part='rs',
            sign=r'(?P<prefix>(module\.)?)s2_encoder\.',
            config=lambda state, at, preset: sizes.croma(state, at.prefix),
            rules=lambda tree, at: croma.rules(
                f'{at.prefix}s2_encoder.', final_norm='norm' in tree['rs']
            ),
            unused=lambda tree, at: croma.unused(tree, at.prefix),
            absent=lambda tree: croma.UNUSED,
        ),
        Source(
            name='taxabind',
            what="TaxaBind: the location encoder, of GeoCLIP's form",
            part='location',
            sign=r'(?P<prefix>(module\.)?)(location_encoder\.)?LocEnc\d+\.',
            marks=(r'model\.(visual|transformer|token_embedding|text)',),
            layout=_taxabind_layout,
            config=lambda state, at, preset: sizes.geoclip(state, at.prefix, None),
            rules=lambda tree, at: geoclip.rules(
                geoclip.hidden_layers(tree['location']), at.prefix
            ),
            unused=_taxabind_unused,
            absent=lambda tree: geoclip.TAXABIND_UNUSED,
            encoders=('geoclip',),
        ),
        Source(
            name='satclip',
            what='SatCLIP: the location encoder',
            part='location',
            sign=r'(?P<prefix>(module\.)?(model\.)?)(location\.)?nnet\.(layers\.\d+|last_layer)\.',
            layout=_satclip_layout,
            config=lambda state, at, preset: place_sizes.satclip(state, at.prefix, at.settings),
            rules=lambda tree, at: satclip.rules(tree, at.prefix),
            unused=lambda tree, at: satclip.unused(at.prefix),
            settings=satclip.SETTINGS,
            encoders=('satclip',),
        ),
        Source(
            name='torchspatial',
            what='TorchSpatial: a location encoder, without its class head',
            part='location',
            sign=r'(?P<prefix>(module\.)?(loc_enc\.)?)(spa_enc\.ffn\.layers\.|feats\.\d+\.)',
            config=lambda state, at, preset: place_sizes.torchspatial(
                state, at.prefix, at.settings
            ),
            rules=lambda tree, at: torchspatial.rules(tree, at.prefix),
            unused=lambda tree, at: torchspatial.unused(at.prefix),
            settings=torchspatial.SETTINGS,
            encoders=tuple(torchspatial.NAMES.values()),
        ),
        Source(
            name='geoclip',
            what='GeoCLIP: the location encoder, and the image head',
            part='location',
            sign=r'(?P<prefix>(module\.)?(location_encoder\.)?)LocEnc\d+\.',
            layout=_geoclip_layout,
            config=lambda state, at, preset: sizes.geoclip(state, at.prefix, at.head),
            rules=_geoclip_rules,
            unused=lambda tree, at: geoclip.UNUSED,
            absent=lambda tree: geoclip.UNUSED,
            encoders=('geoclip',),
        ),
        _vit(
            'vit_mocov3',
            'MoCo v3: the trunk of its base encoder',
            'street_view_imagenet',
            prefix=r'(module\.)?base_encoder\.',
        ),
        _vit(
            'vit_imagenet',
            'a supervised ViT of timm, with its classifier',
            'street_view_half',
            marks=(r'head\.weight',),
            without=(r'fc_norm\.', 'decoder_', 'mask_token'),
        ),
        _vit('vit_mae', "MAE's encoder, or a ViT tuned from it", 'street_view_imagenet'),
    )
}
