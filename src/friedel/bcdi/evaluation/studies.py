"""The sections of an evaluation of phasing: what each asks, and under which conditions."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from friedel.bcdi.evaluation.conditions import TURN, Condition
from friedel.bcdi.evaluation.plan import PhasingEvaluationSizes

BRIGHT = 1e8  # photons where noise isn't the question
_LARGE = 64  # voxels a side above which fewer crystals are phased, as each takes minutes


@dataclass(frozen=True, kw_only=True)
class Study:
    """One question, asked under one or several conditions.

    Attributes
    ----------
    name : str
        Name of the section.
    title, text : str
        Its heading, and what it shows.
    varied : str
        What differs between the conditions.
    conditions : tuple of Condition
        In the report's order.
    """

    name: str
    title: str
    text: str
    varied: str
    conditions: tuple[Condition, ...]


def studies(sizes: PhasingEvaluationSizes) -> Mapping[str, Study]:
    """Return the sections that need no measured scan, by name."""
    made = (_overview(sizes), _photons(sizes), _sampling(sizes), _ranges(sizes), _gaps(sizes), _edges(sizes))
    return {study.name: study for study in made}


def _overview(sizes: PhasingEvaluationSizes) -> Study:
    condition = Condition(
        name="overview",
        label="10⁷ photons, 2π",
        crystals=sizes.overview,
        size=sizes.size,
        pictured=True,
    )
    return Study(
        name="overview",
        title="All methods on the same crystals",
        text=f"{sizes.overview} crystals in {sizes.size}³ voxels, 10⁷ photons, a phase range of 2π. Half of them are "
        "of a family that no network was trained with, half of the package's own, from seeds that no training uses. "
        "Shift, twin and global phase, which intensities can't tell, are set aside before comparing.",
        varied="crystals",
        conditions=(condition,),
    )


def _photons(sizes: PhasingEvaluationSizes) -> Study:
    conditions = tuple(
        Condition(
            name=f"photons-{number:.0e}".replace("+0", "").replace("+", ""),
            label=f"{number:.0e} photons".replace("e+0", "e"),
            crystals=sizes.crystals,
            size=sizes.size,
            photons=number,
            pictured=number == min(sizes.photons),
        )
        for number in sizes.photons
    )
    return Study(
        name="photons",
        title="Few photons",
        text="The same crystals, measured for shorter or longer. Photons are those of the whole pattern.",
        varied="photons",
        conditions=conditions,
    )


def _sampling(sizes: PhasingEvaluationSizes) -> Study:
    made = partial(Condition, crystals=sizes.crystals, size=sizes.size)
    boxes = [
        made(
            name=f"sampling-{ratio:g}",
            label=f"box {ratio:g} × crystal",
            oversampling=ratio,
            pictured=ratio == min(sizes.oversampling),
        )
        for ratio in sizes.oversampling
    ]
    spheres = [
        made(name=f"sphere-{ratio:g}", label=f"box {ratio:g} × its sphere", over_sphere=ratio)
        for ratio in sizes.over_sphere
    ]
    return Study(
        name="sampling",
        title="Coarse sampling",
        text="The box is this many times as long as the crystal along each axis, or as the sphere round it. Below 2 "
        "the autocorrelation no longer fits the box along an axis; the pattern as a whole holds more numbers than the "
        "crystal has as long as the product of all three is above 2.",
        varied="box over crystal",
        conditions=(*boxes, *spheres),
    )


def _ranges(sizes: PhasingEvaluationSizes) -> Study:
    conditions = tuple(
        Condition(
            name=f"range-{low:g}-{high:g}",
            label=f"{2 * low:g}π to {2 * high:g}π",
            crystals=sizes.crystals,
            size=sizes.size,
            photons=BRIGHT,
            phase_range_rad=(low * TURN, high * TURN),
            pictured=(low, high) == max(sizes.phase_range_turns),
        )
        for low, high in sizes.phase_range_turns
    )
    return Study(
        name="range",
        title="Highly strained crystals",
        text="The phase's peak-to-peak range is drawn from the range named; 10⁸ photons. Beyond 2π the phase wraps.",
        varied="phase range",
        conditions=conditions,
    )


def _gaps(sizes: PhasingEvaluationSizes) -> Study:
    scale = max(1, sizes.size // 32)
    conditions = []
    for rows, columns in sizes.gaps:
        gap = (rows * scale, columns * scale)
        share = 1 - (1 - gap[0] / sizes.size) * (1 - gap[1] / sizes.size)
        conditions.append(
            Condition(
                name=f"gaps-{rows}-{columns}",
                label=f"{100 * share:.0f} % missing",
                crystals=sizes.crystals,
                size=sizes.size,
                gap=gap,
                pictured=(rows, columns) == max(sizes.gaps),
            )
        )
    return Study(
        name="gaps",
        title="Missing voxels",
        text="Rows and columns of the detector are missing close beside the peak, in every frame. To friedel they are "
        "unknown; cohere takes them as dark.",
        varied="missing",
        conditions=tuple(conditions),
    )


def _edges(sizes: PhasingEvaluationSizes) -> Study:
    conditions = tuple(
        Condition(
            name=f"size-{n}",
            label=f"{n}³",
            crystals=sizes.crystals if n <= _LARGE else min(sizes.large, sizes.crystals),
            size=n,
        )
        for n in sizes.edges
    )
    return Study(
        name="sizes",
        title="Larger patterns",
        text="The network sees every pattern on its own grid; its prediction is lifted to the pattern's and refined "
        f"there. 10⁷ photons; {min(sizes.large, sizes.crystals)} crystals each above {_LARGE}³.",
        varied="size",
        conditions=conditions,
    )
