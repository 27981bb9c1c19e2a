"""Alarms of a watch, told to a webhook: the hit rate fell, the source is silent, the disk is nearly full.

Each is sent when it begins and when it is over, as one JSON object by POST, from a thread of its own, so that a slow or
absent webhook doesn't hold up the watch.
"""

import json
import shutil
import threading
import time
import urllib.request
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from queue import Full, Queue
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from friedel.core.errors import PlanError
from friedel.core.observer import Observer, Warned
from friedel.core.options import Options
from friedel.stream.snapshot import Snapshot

_TIMEOUT_S = 5.0  # s; for a webhook's answer, and so the longest that ending a watch waits for it
_WAITING = 64  # messages kept for a webhook that doesn't answer; later ones are dropped


class AlarmOptions(Options):
    """What somebody is to be told, and where."""

    webhook: str | None = None
    """Address (http or https) that gets a JSON object: alarm, over, text, source, time, ledger; None: no alarms."""
    hit_rate_below: Annotated[float, Field(gt=0, le=1)] | None = None
    """The share of selected frames, over `over_s`, that is too low; None doesn't look."""
    over_s: Annotated[float, Field(gt=0)] = 60.0
    """Time over which that share is taken, s."""
    least_frames: Annotated[int, Field(ge=1)] = 100
    """Fewer frames than this in that time make no share."""
    silent: bool = True
    """Tell when the source is silent or lost."""
    disk_free_mb: Annotated[int, Field(ge=0)] = 1024
    """Less room than this beside the results is nearly full, MiB; 0 doesn't look."""

    @field_validator("webhook")
    @classmethod
    def _check(cls, value: str | None) -> str | None:
        if value is not None and (urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).hostname):
            raise ValueError(f"{value!r} is no address that can be posted to; write http://host/path")
        return value


@dataclass(frozen=True)
class Alarm:
    """One thing that is wrong: its name, and a sentence."""

    name: str
    text: str


class Alarms:
    """Looks at snapshots and tells the webhook what begins to be wrong and what is right again.

    Parameters
    ----------
    options : AlarmOptions
        With a webhook.
    folder : Path or None
        Of the results.
    observer : Observer
        Hears if the webhook can't be told.
    """

    def __init__(self, options: AlarmOptions, folder: Path | None, observer: Observer) -> None:
        if options.webhook is None:
            raise PlanError("alarms need an address: give alarms.webhook")
        self._options, self._webhook, self._folder, self._observer = options, options.webhook, folder, observer
        self._on: dict[str, Alarm] = {}
        self._hits: deque[tuple[float, int, int]] = deque()
        self._outgoing: Queue[dict[str, object] | None] = Queue(_WAITING)
        self._thread = threading.Thread(target=self._tell, name="alarms", daemon=True)
        self._thread.start()

    def look(self, snapshot: Snapshot) -> None:
        """Take up a snapshot; never waits."""
        found = {alarm.name: alarm for alarm in (self._silent(snapshot), self._rate(snapshot), self._disk()) if alarm}
        for name, alarm in found.items():
            if name not in self._on:
                self._send(alarm, snapshot, over=False)
        for name, alarm in self._on.items():
            if name not in found:
                self._send(alarm, snapshot, over=True)
        self._on = found

    def close(self) -> None:
        """Tell what is still to be told, for a few seconds at most."""
        try:
            self._outgoing.put_nowait(None)
        except Full:
            return
        self._thread.join(_TIMEOUT_S)

    def _silent(self, snapshot: Snapshot) -> Alarm | None:
        if not self._options.silent or snapshot.source.state not in ("silent", "lost"):
            return None
        return Alarm("source", f"the source is {snapshot.source.state}: {snapshot.source.reason}")

    def _rate(self, snapshot: Snapshot) -> Alarm | None:
        least, selected = self._options.hit_rate_below, getattr(snapshot.view, "selected", None)
        if least is None or selected is None:
            return None
        now = time.monotonic()
        self._hits.append((now, snapshot.ledger.processed, int(selected)))
        while now - self._hits[0][0] > self._options.over_s:
            self._hits.popleft()
        frames, hits = (self._hits[-1][k] - self._hits[0][k] for k in (1, 2))
        if frames < self._options.least_frames:
            return self._on.get("hit rate")
        return Alarm("hit rate", f"{hits / frames:.2%} of the last {frames} frames") if hits < least * frames else None

    def _disk(self) -> Alarm | None:
        if self._folder is None or not self._options.disk_free_mb:
            return None
        try:
            free = shutil.disk_usage(self._folder).free >> 20
        except OSError as error:
            return Alarm("disk", f"{self._folder} can't be looked at ({error.strerror or error})")
        return Alarm("disk", f"{free} MiB are free in {self._folder}") if free < self._options.disk_free_mb else None

    def _send(self, alarm: Alarm, snapshot: Snapshot, *, over: bool) -> None:
        told: dict[str, object] = {"alarm": alarm.name, "over": over, "text": alarm.text, "time": time.time()}
        told |= {"source": snapshot.source.name, "folder": snapshot.folder, "ledger": snapshot.ledger.as_dict()}
        try:
            self._outgoing.put_nowait(told)
        except Full:  # the webhook doesn't answer; that has been said
            return

    def _tell(self) -> None:
        while (told := self._outgoing.get()) is not None:
            data = json.dumps(told).encode("utf-8")
            request = urllib.request.Request(self._webhook, data, {"Content-Type": "application/json"})
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT_S):
                    pass
            except (OSError, ValueError) as error:
                self._observer(Warned("alarm", f"{told['text']}; {self._webhook} can't be told ({error})"))
