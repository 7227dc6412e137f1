"""Fine-tuning in a benchmark: every task's head, from trained and from random parameters."""

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gair_jax.config import Config, HeadConfig, InputError
from gair_jax.input.store import Store
from gair_jax.models import task_head
from gair_jax.models.gair import Params, rs_encoder
from gair_jax.train import label_objective
from gair_jax.transfer import fitting, masks
from gair_jax.transfer.features import Drawn
from gair_jax.transfer.fit_settings import FitConfig
from gair_jax.transfer.fitting import Fit
from gair_jax.transfer.probes import Splits
from gair_jax.transfer.tasks import SPLITS, Task

_UPERNET_LEVELS = 4


class Fitter(NamedTuple):
    """What all fits of a benchmark share.

    run: config of the checkpoint, with the data set; its seed places the windows.
    sets: trained parameters, then random ones.
    folder: keeps what is fitted.
    """

    settings: FitConfig
    run: Config
    sets: Sequence[Params]
    store: Store
    folder: pathlib.Path

    def points(
        self, task: Task, names: Sequence[str], sides: tuple[str, ...], rows: Splits,
        subsets: np.ndarray, drawn: Mapping[str, Drawn],
    ) -> list[np.ndarray]:  # fmt: skip
        """Answers for the test rows after training all there is: of trained and random parameters.

        Args:
            task: of kind class or regression.
            names: of its classes or targets.
            sides: whose embeddings are joined.
            rows: their features are positions in `drawn`.
            subsets: bool [s, n], training rows of several fits.
            drawn: records of each split.

        Returns:
            Classes int [seeds x s, n], or values [seeds x s, n, k], of each of both.
        """
        own = {
            split: drawn[split].indices[rows_of.features[:, 0]]
            for split, rows_of in zip(SPLITS, rows, strict=True)
        }

        def fitted(params: Params, seed: int) -> list[np.ndarray]:
            found = []
            for subset in subsets:
                head = self._point_head(task, names, sides, rows.train.targets[subset])
                used = {'train': own['train'][subset], 'val': own['val']}
                fit = self._fit(head, params, used, seed)

                def answer(config: Config, params: Params) -> np.ndarray:
                    return fitting.point_answers(
                        config, params, split='test', rows=own['test'], seed=self.run.seed
                    )

                found.append(fitting.answers(fit, own['test'], self.folder, answer))
            return found

        return self._of_both(fitted)

    def tile_masks(
        self, task: Task, said: Mapping[str, Any], drawn: Mapping[str, Drawn],
        subsets: np.ndarray, protocol: str,
    ) -> list[np.ndarray]:  # fmt: skip
        """Confusion matrices int [seeds x s, n, k, k] of the test tiles: trained, and random.

        Args:
            task: of kind mask.
            said: by the data set, of training and testing; see `data.mask_tiles`.
            drawn: records of each split, one a tile.
            subsets: bool [s, n], training tiles of several fits.
            protocol: of `mask_benchmark.PROTOCOLS`; but for full the decoder alone is trained.
        """
        classes = len(task.classes)
        head = self._mask_head(task, said, protocol)
        repeats = {'train': said.get('repeat', 1) * self.settings.crops}
        repeats['val'] = self.settings.crops
        own = {split: np.tile(drawn[split].indices, n) for split, n in repeats.items()}
        test = drawn['test'].indices

        def answer(config: Config, params: Params) -> np.ndarray:
            return masks.tile_confusions(config, params, split='test', rows=test, classes=classes)

        def fitted(params: Params, seed: int) -> list[np.ndarray]:
            found = []
            for subset in subsets:
                used = {**own, 'train': own['train'][np.tile(subset, repeats['train'])]}
                fit = self._fit(head, params, used, seed, said)
                found.append(fitting.answers(fit, test, self.folder, answer))
            return found

        return self._of_both(fitted)

    def train_pixels(
        self, task: Task, said: Mapping[str, Any], drawn: Mapping[str, Drawn], subsets: np.ndarray
    ) -> np.ndarray:
        """Pixels of each class in a window of each training tile of each subset, int64 [s, k]."""
        head, indices = self._mask_head(task, said, 'frozen'), drawn['train'].indices
        config = self._fit(head, {}, {'train': indices}, 0, said).config
        return np.stack([
            masks.train_pixels(
                config, split='train', rows=indices[subset], classes=len(task.classes)
            )
            for subset in subsets
        ])  # fmt: skip

    def _of_both(self, fitted: Callable[[Params, int], list[np.ndarray]]) -> list[np.ndarray]:
        trained, *random = self.sets
        seeds = range(self.settings.seeds)
        ours = [answer for seed in seeds for answer in fitted(trained, seed)]
        others = [answer for seed in seeds for answer in fitted(random[seed], seed)]
        return [np.stack(ours), np.stack(others)]

    def _point_head(
        self, task: Task, names: Sequence[str], sides: tuple[str, ...], targets: np.ndarray
    ) -> HeadConfig:
        head = HeadConfig(
            label=task.label, target=task.kind, outputs=len(names), features=sides,
            kind=self.settings.head,
        )  # fmt: skip
        if task.kind == 'regression':
            std = targets.std(axis=0)
            head.mean = tuple(targets.mean(axis=0).tolist())
            head.std = tuple(np.where(std > 0, std, 1.0).tolist())
        return head

    def _mask_head(self, task: Task, said: Mapping[str, Any], protocol: str) -> HeadConfig:
        logits = said.get('logits', len(task.classes))
        if logits == 1 and len(task.classes) != 2:
            raise InputError(
                f'task {task.name}: one logit expects two classes, found {len(task.classes)}.'
            )
        levels = tuple(self.settings.levels) or _levels(self.run)
        probed = protocol in task_head.KINDS
        return HeadConfig(
            label=task.label, target='mask', outputs=logits, features=('rs',),
            frozen=protocol != 'full', decoder=protocol if probed else 'upernet',
            merging=self.settings.merging, channels=self.settings.channels,
            levels=levels[-1:] if probed else levels,
            loss=said.get('loss', 'cross_entropy'), selection=said.get('selection', 'miou'),
        )  # fmt: skip

    def _fit(
        self, head: HeadConfig, params: Params, rows: Mapping[str, np.ndarray], seed: int,
        said: Mapping[str, Any] | None = None,
    ) -> Fit:  # fmt: skip
        head.encoder_rate = self.settings.encoder_rate
        config = fitting.configure(self.settings, self.run, head, len(rows['train']), seed=seed)
        if said is not None:
            self._set_windows(config, said)
        label_objective.create(config)  # refuses before anything is read
        metadata = self.store.metadata
        data = {name: metadata.get(name) for name in ('build', 'counts', 'bands')}
        return Fit(config, fitting.kept(params, head), rows, data)

    def _set_windows(self, config: Config, said: Mapping[str, Any]) -> None:
        """Windows anywhere in a tile, as the encoder was trained to see or as it is asked for."""
        rs, settings = config.input.rs, self.settings
        rs.placement, rs.scaling = 'anywhere', settings.scaling
        rs.dates = settings.dates or said.get('dates', 1)
        if settings.crop:
            rs.window = settings.crop
        if rs.scaling != 'contract':
            rs.kernel = 'linear_antialias'
        if rs.scaling != 'contract' or rs.dates > 1:
            rs.jitter = 0.0


def _levels(run: Config) -> tuple[int, ...]:
    """Those of PANGAEA-Bench for 12 layers; else the last of each of four equal parts."""
    encoder = rs_encoder(run)
    depth = 0 if encoder is None else encoder.spec.layers.depth
    if depth == 12:
        return (3, 5, 7, 11)
    count = min(_UPERNET_LEVELS, depth)
    return tuple(depth * (i + 1) // count - 1 for i in range(count))
