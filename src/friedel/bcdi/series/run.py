"""The job: each scan of a series reconstructed in a folder of its own, resumable, then all of them seen together.

A scan's phasing begins at the object of the last trusted one before it, with a witness that knows nothing of that
(`friedel.bcdi.phasing.neighbour`); where they don't come to the same, it begins anew.
"""

import hashlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from friedel.bcdi.facets import facet_table, find_facets
from friedel.bcdi.records import CrystalImage, Reconstruction
from friedel.bcdi.results.numbers import FILE, read_numbers, save_numbers
from friedel.bcdi.results.save import load_reconstruction
from friedel.bcdi.run import RunResult, run_scan
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.series.facets import FILE as FACETS
from friedel.bcdi.series.facets import FollowedFacet, follow_facets
from friedel.bcdi.series.outliers import find_doubtful, find_outliers
from friedel.bcdi.series.plan import Member, SeriesPlan, members_of
from friedel.bcdi.series.together import Together, seen_together
from friedel.bcdi.strain.summary import crystal_errors, crystal_numbers
from friedel.core.errors import FriedelError, InputError
from friedel.core.observer import Note, Observer, Recorder, Warned, silent, tee
from friedel.core.series.members import SeriesMember, SeriesOutcome, first_condition
from friedel.core.series.spread import done_alike

_STAMP = "series.txt"


@dataclass(frozen=True, kw_only=True)
class SeriesScan(SeriesMember):
    """What became of one scan: size, strain, spacing and their standard errors, as far as the result has them.

    Attributes
    ----------
    quality : dict
        "chi", "trusted", "agreement", …
    """

    quality: dict[str, float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class SeriesResult(SeriesOutcome[SeriesScan]):
    """What a series of scans leaves behind.

    Attributes
    ----------
    doubtful : dict of str to str
        Scans that fit in although a check of their own failed, and what is said of them.
    together : Together or None
        All crystals in one frame; None where fewer than two came out.
    facets : tuple of FollowedFacet
        The reference crystal's facets through all scans; empty where no two came out.
    """

    doubtful: dict[str, str]
    together: Together | None
    facets: tuple[FollowedFacet, ...] = ()

    @property
    def scans(self) -> tuple[SeriesScan, ...]:
        """The scans, in order."""
        return self.members


def run_series(
    plan: SeriesPlan, output: Path | None = None, *, device: str | None = None, observer: Observer = silent
) -> SeriesResult:
    """Reconstruct every scan of a series, bring the crystals into one frame, and report.

    Parameters
    ----------
    plan : SeriesPlan
        Which scans and how.
    output : Path, optional
        Folder for the results; None takes the plan's. Scans whose results lie there already, made by the same plan,
        are taken over: so an interrupted series goes on where it stopped.
    device : str, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : Observer
        Hears progress, and which scan failed and why.

    Raises
    ------
    PlanError
        If the plan doesn't make sense or no folder is given.
    InputError
        If not one scan could be reconstructed, or nothing can be written.
    """
    folder = plan.folder_for(output)
    members = members_of(plan)
    folder.mkdir(parents=True, exist_ok=True)
    earlier = members if plan.begin == "neighbour" and plan.cluster is None else ()
    constants = (folder.resolve(), earlier, device)
    scans = done_alike(_member, members, constants, cluster=plan.cluster, observer=observer, undone=_undone)
    if all(scan.failed for scan in scans):
        raise InputError(f"no scan of the series could be reconstructed; the first said: {scans[0].failed}")
    return _report(plan, scans, folder, observer)


def _report(plan: SeriesPlan, scans: tuple[SeriesScan, ...], folder: Path, observer: Observer) -> SeriesResult:
    from friedel.bcdi.series.report import write_series

    against = plan.against or first_condition(scans, "scan")
    made = [scan for scan in scans if not scan.failed]
    together = seen_together([folder / scan.name for scan in made]) if len(made) > 1 else None
    outliers = find_outliers(scans, together)
    for name, why in outliers.items():
        observer(Warned("series", f"{name} doesn't fit in: {why}"))
    doubtful = find_doubtful(scans, outliers)
    for name, why in doubtful.items():
        observer(Warned("series", f"{name}: {why}"))
    result = SeriesResult(
        members=scans,
        against=against,
        outliers=outliers,
        doubtful=doubtful,
        together=together,
        facets=() if together is None else follow_facets(folder, together),
        files={},
    )
    result.files.update(write_series(folder, result))
    return result


def _undone(member: Member, why: str) -> SeriesScan:
    return SeriesScan(name=member.name, conditions=member.conditions, failed=why)


def _member(
    member: Member, series: Path, all_members: tuple[Member, ...], device: str | None, observer: Observer
) -> SeriesScan:
    """Return what becomes of one scan; its neighbour is looked for among all members, if there are any."""
    folder = series / member.name
    if _is_done(member, series, chained=bool(all_members)):
        observer(Note("series", f"{member.name}: taken over from an earlier run"))
        return _stored(member, folder, again=True)
    try:
        scan = read_scan(member.plan.scan, observer=observer) if member.plan.scan else None
        assert scan is not None
        recorder, neighbour = Recorder(), _neighbour(member, series, all_members)
        result = run_scan(
            scan, member.plan, folder, neighbour=neighbour, device=device, observer=tee(observer, recorder)
        )
    except FriedelError as error:
        observer(Warned("series", f"{member.name} has no result: {error}"))
        return _undone(member, str(error))
    notes = [event for event in recorder.events if isinstance(event, Note) and event.step == "neighbour"]
    witnessed = [note.figures["agreement"] for note in notes if "agreement" in note.figures]
    begun = {"witness_correlation": witnessed[0]} if witnessed else {}
    exposed = member.conditions | {k: v for k, v in scan.readings.items() if k not in member.conditions}
    _remember(folder, result, {**begun, "frames": float(scan.frames.shape[0])}, exposed)
    facets = facet_table(find_facets(result.crystal, peak=member.peak))
    (folder / FACETS).write_text(facets, encoding="utf-8")
    (folder / _STAMP).write_text(_stamp(member, chained=bool(all_members)) + "\n", encoding="utf-8")
    return _stored(member, folder)


def _neighbour(member: Member, series: Path, all_members: tuple[Member, ...]) -> Reconstruction | None:
    """Return the last trusted result before a member's that can be read."""
    before = all_members[: all_members.index(member)] if all_members else ()
    for other in reversed(before):
        with suppress(InputError):  # a damaged result is no neighbour; the scan's own row will say what it is
            if _is_done(other, series, chained=True) and read_numbers(series / other.name / FILE).get("trusted"):
                return load_reconstruction(series / other.name / "reconstruction.cxi")
    return None


def _stamp(member: Member, *, chained: bool) -> str:
    return hashlib.sha256(f"{member.model_dump_json()}{' after its neighbour' * chained}".encode()).hexdigest()


def _is_done(member: Member, series: Path, *, chained: bool) -> bool:
    """Say whether a member's result lies in its folder, made by the same plan."""
    stamp, numbers = series / member.name / _STAMP, series / member.name / FILE
    return stamp.is_file() and stamp.read_text().strip() == _stamp(member, chained=chained) and numbers.is_file()


def _remember(folder: Path, result: RunResult, seen: dict[str, float], exposed: dict[str, float]) -> None:
    crystal: CrystalImage = result.crystal
    numbers = {**crystal_numbers(crystal), **seen, "photons": result.diffraction.n_photons}
    errors = crystal_errors(crystal)
    save_numbers(folder / FILE, result.reconstruction, numbers, conditions=exposed, errors=errors)


def _stored(member: Member, folder: Path, *, again: bool = False) -> SeriesScan:
    values = read_numbers(folder / FILE)
    quality = {name: values.get(name) for name in ("chi", "trusted", "agreement", "n_agreeing", "n_starts")}
    chi = quality["chi"]
    return SeriesScan(
        name=member.name,
        conditions=values["conditions"],
        numbers=values["numbers"] | ({} if chi is None else {"chi": chi}),
        errors=values["errors"],
        quality=quality,
        again=again,
    )
