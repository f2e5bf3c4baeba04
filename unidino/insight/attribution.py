"""Which channels tell the classes of a label apart.

Shapes: N profiles, C channels of D features. Source: Morelli et al. 2025, section 2.4.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from unidino.core.errors import InputError, ProfileError, choose
from unidino.core.log import log
from unidino.core.processes import side_by_side
from unidino.core.progress import progress_bar
from unidino.core.reasons import WhyNot
from unidino.core.results import Result, Results
from unidino.insight.importance import channel_shares, student_interval
from unidino.insight.questions import not_default, question_of
from unidino.lake.answers import land_answers
from unidino.lake.lake import Lake
from unidino.lake.runs import Run
from unidino.profiles.groups import Group, groups
from unidino.profiles.profile import Profiled
from unidino.profiles.selection import Selection, nothing_fits
from unidino.profiles.treatments import with_treatment
from unidino.scores.rules import LABELS

_MIN_MEMBERS = 2
_NO_CHANNELS = {
    "mixed": "are mixtures of all channels by the normalization; choose --normalize mad_robustize",
    "selected": "were selected and belong to no channel; choose a normalization without select=",
    "features": "were imported and belong to no channel",
}


@dataclass(frozen=True)
class ChannelShare(Result):
    """Share of a class's most important features that lie in one channel.

    class_name: value of the label. num_profiles: of the class. share: mean over `num_seeds`
    forests of the share of the `top` features; share_low, share_high: 95 % interval of that mean,
    None for one seed. expected: the share by chance, which is that of all features.
    """

    model: str
    normalization: str
    dataset: str
    level: str
    label: str
    class_name: str
    channel: str
    num_profiles: int
    share: float
    share_low: float | None
    share_high: float | None
    expected: float
    num_seeds: int
    top: int

    def as_row(self) -> dict[str, Any]:
        """The row of the table `attribution`, without run and question."""
        return {"class" if k == "class_name" else k: v for k, v in asdict(self).items()}


@dataclass(frozen=True)
class _ClassTask:
    """One class of a dataset against all others. classes: (N,), the class of each profile."""

    profiled: Profiled
    channels: tuple[str, ...]
    vectors: NDArray[np.float32]
    classes: NDArray[np.str_]
    class_name: str

    @property
    def is_member(self) -> NDArray[np.bool_]:
        """Whether each profile (N,) is of the class."""
        is_member: NDArray[np.bool_] = self.classes == self.class_name
        return is_member


def attribute(
    lake: Lake,
    selection: Selection,
    *,
    label: str = "moa",
    top: int = 50,
    num_seeds: int = 5,
    seed: int = 0,
    include_controls: bool = False,
    jobs: int | None = None,
) -> Results[ChannelShare]:
    """Share of the `top` most important features in each channel, for every class of the label.

    For each class and seed, a random forest of 100 trees tells the profiles of the class from all
    other labelled profiles, with balanced weights. include_controls: negative controls are a class,
    too; by default they are left out. num_seeds: forests per class, with seeds from `seed` upwards.
    jobs: processes; default, and most, one a core.
    Raises ProfileError if no dataset has two channels and two classes, one of two profiles.

    >>> import unidino as ud
    >>> shares = ud.attribute(lake, ud.Selection(models=["gaussian"]), num_seeds=1).frame
    >>> shares["class"].unique(maintain_order=True).to_list()
    ['actin disruptor', 'topoisomerase inhibitor']
    """
    run = Run.of("attribute", locals())
    choose("label", label, LABELS)
    for option, number in (("top", top), ("seeds", num_seeds)):
        if number < 1:
            raise InputError(f"--{option} is {number}; it must be at least 1")
    if selection.form.mixes_features:
        log.warning(
            f"'{selection.normalize}' mixes features of several channels: a share says less about"
            " a single channel"
        )
    tasks: list[_ClassTask] = []
    why_not = WhyNot()
    for group in groups(lake, selection):
        with why_not.collecting(f"{group.profiled.dataset} is not attributed"):
            tasks += _class_tasks(group, label, include_controls=include_controls)
    why_not.settle(anything_done=bool(tasks), nothing=nothing_fits(selection))
    seeds = range(seed, seed + num_seeds)
    found = [
        share
        for task, shares in zip(tasks, _forest_shares(tasks, top, seeds, jobs), strict=True)
        for share in _channel_shares(task, shares, label, top)
    ]
    options = {"top": top, "num_seeds": num_seeds, "seed": seed}
    others = not_default(attribute, options | {"include_controls": include_controls})
    question = question_of("attribution", selection, {"label": label}, others)
    land_answers(lake, run, "attribution", [(question, [share.as_row() for share in found])])
    return Results(found, _frame)


def by_channel(found: Results[ChannelShare]) -> pl.DataFrame:
    """Mean shares as a table for people: a row per class, a column per channel."""
    rows: list[dict[str, Any]] = []
    num_left = 0
    for share in found:
        if num_left == 0:  # the first channel of the next class
            rows.append(
                {
                    "model": share.model,
                    "dataset": share.dataset,
                    "class": share.class_name,
                    "num_profiles": share.num_profiles,
                }
            )
            num_left = round(1 / share.expected)
        rows[-1][share.channel] = round(share.share, 3)
        num_left -= 1
    table = pl.DataFrame(rows, infer_schema_length=None)
    return table.drop("model") if table["model"].n_unique() == 1 else table


def _frame(found: Sequence[ChannelShare]) -> pl.DataFrame:
    return pl.DataFrame([share.as_row() for share in found])


def _class_tasks(group: Group, label: str, *, include_controls: bool) -> list[_ClassTask]:
    """A task for each class that can be told from the others.

    Raises ProfileError if there is none, or if the features belong to no channels.
    """
    if len(group.channels) == 1:
        (channel,) = group.channels
        why = _NO_CHANNELS.get(channel, f"are all of the one channel '{channel}'")
        raise ProfileError(f"its features {why}")
    left_out = ("empty",) if include_controls else ("empty", "negcon")
    metadata = with_treatment(group.metadata)
    labels = metadata[label].to_pylist()
    kinds = metadata["control_type"].to_pylist()
    kept = np.array(
        [
            name is not None and kind not in left_out
            for name, kind in zip(labels, kinds, strict=True)
        ],
        dtype=bool,
    )
    classes = np.array([str(n) for n, k in zip(labels, kept, strict=True) if k], dtype=str)
    names, counts = np.unique(classes, return_counts=True)
    if len(names) < 2 or counts.max() < _MIN_MEMBERS:
        found = ", ".join(f"{c} ({n})" for c, n in zip(names[:5], counts, strict=False))
        raise ProfileError(
            f"it needs two classes of {label} with two profiles or more, and has {found or 'none'}"
        )
    usable = (counts >= _MIN_MEMBERS) & (len(classes) - counts >= _MIN_MEMBERS)
    if not usable.any():
        raise ProfileError(
            f"no class of {label} has {_MIN_MEMBERS} profiles and {_MIN_MEMBERS} others to be told"
            " from"
        )
    vectors = np.ascontiguousarray(group.vectors[kept], dtype=np.float32)
    return [
        _ClassTask(group.profiled, group.channels, vectors, classes, str(name))
        for name in names[usable]
    ]


def _forest_shares(
    tasks: Sequence[_ClassTask], top: int, seeds: Sequence[int], jobs: int | None
) -> list[NDArray[np.float64]]:
    """Shares (S, C) of each task; forests run side by side in processes."""
    from joblib import delayed

    calls = [
        delayed(channel_shares)(
            task.vectors, task.is_member, len(task.channels), top=top, seed=seed
        )
        for task in tasks
        for seed in seeds
    ]
    shares = []
    with progress_bar("attribute", len(calls), "forests") as advance:
        for of_forest in side_by_side(calls, jobs):
            shares.append(of_forest)
            advance(1)
    starts = range(0, len(shares), len(seeds))
    return [np.array(shares[start : start + len(seeds)]) for start in starts]


def _channel_shares(
    task: _ClassTask, shares: NDArray[np.float64], label: str, top: int
) -> list[ChannelShare]:
    """The result of one class, channel by channel. shares: (S, C)."""
    mean, low, high = student_interval(shares)
    return [
        ChannelShare(
            model=task.profiled.model,
            normalization=task.profiled.normalization,
            dataset=task.profiled.dataset,
            level=task.profiled.level,
            label=label,
            class_name=task.class_name,
            channel=channel,
            num_profiles=int(task.is_member.sum()),
            share=float(mean[c]),
            share_low=low[c],
            share_high=high[c],
            expected=1 / len(task.channels),
            num_seeds=len(shares),
            top=top,
        )
        for c, channel in enumerate(task.channels)
    ]
