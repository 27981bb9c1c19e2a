"""A watch's figures for monitoring: Prometheus' text format, and two answers in a word. Pure functions."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

STALE_S = 10.0
"""A watch whose last snapshot is older than this is not well: it takes one several times a second."""
_PLACES = ("processed", "dropped", "late", "duplicate", "malformed")
_Labels: TypeAlias = Mapping[str, str]
# Name, type, help text, and samples: labels and a value each.
_Family: TypeAlias = tuple[str, str, str, Sequence[tuple[_Labels, float]]]


def metrics_text(figures: Mapping[str, Any], now: float | None = None) -> str:
    """Return a snapshot's figures in Prometheus' text format, version 0.0.4.

    Parameters
    ----------
    figures : mapping
        Parts of the page: "state", and "rates" for single hits; empty while there is no snapshot.
    now : float, optional
        Seconds since the epoch.
    """
    lines: list[str] = []
    for name, kind, about, samples in _families(figures, time.time() if now is None else now):
        lines += [f"# HELP friedel_{name} {about}", f"# TYPE friedel_{name} {kind}"]
        lines += [f"friedel_{name}{_labels(labels)} {value:.10g}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def health(figures: Mapping[str, Any], now: float | None = None) -> tuple[bool, str]:
    """Say whether the watch goes on, and in words why not: its loop shows a snapshot several times a second."""
    if not figures:
        return True, "starting"
    age = (time.time() if now is None else now) - figures["state"]["taken"]
    if age <= -STALE_S:  # the snapshot is of the future, and after the clock was set back no other has come
        return False, "the watch has shown nothing since the clock was set back"
    return (True, "ok") if age < STALE_S else (False, f"the watch has shown nothing for {age:.0f} s")


def readiness(figures: Mapping[str, Any], now: float | None = None) -> tuple[bool, str]:
    """Say whether frames are coming in, and in words why not."""
    well, words = health(figures, now)
    if not well or not figures:
        return False, words
    source = figures["state"]["source"]
    return source["state"] == "live", f"the source is {source['state']}" + (
        source["reason"] and f": {source['reason']}"
    )


def _families(figures: Mapping[str, Any], now: float) -> Iterator[_Family]:
    yield "up", "gauge", "1 while the watch goes on", [({}, float(bool(figures) and health(figures, now)[0]))]
    if not figures:
        return
    state = figures["state"]
    ledger = state["ledger"]
    places = [({"place": place}, ledger[place]) for place in _PLACES]
    yield "frames_total", "counter", "Frames seen that no longer wait, by where they are", places
    yield "frames_waiting", "gauge", "Frames seen that wait for their scores", [({}, ledger["waiting"])]
    yield "frames_missing_total", "counter", "Frames the source numbered that never came", [({}, ledger["missing"])]
    yield "frames_unsaved_total", "counter", "Frames scored and not written", [({}, ledger["unsaved"])]
    for kind in ("dropped", "malformed"):
        samples = [({"reason": why}, n) for why, n in ledger[f"{kind}_why"].items()]
        yield f"frames_{kind}_by_reason_total", "counter", f"Frames {kind}, by reason", samples
    yield "frames_per_second", "gauge", "Frames scored a second, over some seconds", [({}, state["frames_per_s"])]
    latency = [({"quantile": q}, ledger[f"latency_{name}_s"]) for q, name in (("0.5", "p50"), ("0.99", "p99"))]
    yield "latency_seconds", "gauge", "From arrival to score, over the latest frames", latency
    yield "queue_batches", "gauge", "Batches that wait", [({}, ledger["queue_depth"])]
    yield "queue_size_batches", "gauge", "Room for batches", [({}, ledger["queue_size"])]
    yield "source_live", "gauge", "1 while frames come", [({"state": state["source"]["state"]}, _is(state, "live"))]
    yield "paused", "gauge", "1 while frames are left out on request", [({}, float(state["paused"]))]
    yield from _hits(figures.get("rates"), ledger["processed"])


def _hits(rates: Mapping[str, Any] | None, processed: int) -> Iterator[_Family]:
    if rates is None:
        return
    yield "hits_total", "counter", "Frames selected as single hits", [({}, rates["selected"])]
    yield "hit_rate", "gauge", "Share of the frames scored so far", [({}, rates["selected"] / max(processed, 1))]


def _is(state: Mapping[str, Any], name: str) -> float:
    return float(state["source"]["state"] == name)


def _labels(labels: _Labels) -> str:
    if not labels:
        return ""
    quoted = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in quoted.items()) + "}"
