"""One writer for a simulated run: chunk by chunk, in any order, safe against a kill at any moment.

A chunk is marked as done only after its bytes are on the disk, and the run takes its final name when all are there.
Until then the file lies hidden beside it, sound at every moment, and the same plan goes on where it stopped.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from friedel.core.files.reserved import PartsFile, PartsWriter
from friedel.spi.simulation.layout import DATA, DONE, PROCESS, SAMPLE, TRUTH, RunDescription, fill


class RunWriter(PartsWriter):
    """An unfinished run, open; leaving its block closes it and keeps what is done.

    Parameters
    ----------
    path : Path
        Name of the finished file; the unfinished one lies hidden beside it.
    run : RunDescription
        What is written.
    fresh : bool
        Forget an unfinished run.

    Raises
    ------
    InputError
        If the folder is missing, the disk has no room, the unfinished run there is another one, or is being written.
    """

    def __init__(self, path: Path, run: RunDescription, *, fresh: bool = False) -> None:
        self.run = run
        parts = PartsFile(
            what=("run", "chunks"),
            names=(DATA, *(f"{SAMPLE}/{name}" for name in TRUTH)),
            marks=DONE,
            n_parts=run.n_chunks,
            process=PROCESS,
            fingerprint=run.fingerprint,
        )
        super().__init__(path, parts, partial(fill, run=run), fresh=fresh)

    def write(self, chunk: int, frames: NDArray[Any], truth: Mapping[str, NDArray[Any]]) -> None:
        """Write a chunk and mark it as done.

        Parameters
        ----------
        chunk : int
            Its number.
        frames : (n, y, x) array
            Its frames; surplus ones of the run's last chunk are dropped.
        truth : mapping of str to array
            An array, an entry a frame, for each name in `TRUTH`.

        Raises
        ------
        InputError
            If the bytes can't be written; the chunk then stays to be done.
        """
        first, last = self.run.span(chunk)
        values = {DATA: frames, **{f"{SAMPLE}/{name}": truth[name] for name in TRUTH}}
        self.put_part(chunk, {name: (first, entries[: last - first]) for name, entries in values.items()})
