from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
from live_doubles import frames, write_run
from source_contract import SourceContract

from friedel.stream.recording import record_stream
from friedel.stream.sources.source import find_source


class TestFile(SourceContract):
    ends = True

    @pytest.fixture
    def peer(self, tmp_path):
        stack = frames(self.n_frames)
        path = write_run(tmp_path / "run.h5", stack)
        return SimpleNamespace(uri=f"file://{path}", frame=lambda index: stack[index])


class TestFileAtARate(TestFile):
    @pytest.fixture
    def peer(self, tmp_path):
        stack = frames(self.n_frames).astype(np.float32)
        path = write_run(tmp_path / "run.h5", stack)
        return SimpleNamespace(uri=f"file://{path}?rate=100", frame=lambda index: stack[index])


class TestTiffFolderOfAFinishedScan(SourceContract):
    ends = True

    @pytest.fixture
    def peer(self, tmp_path):
        stack = frames(self.n_frames)
        for number, frame in enumerate(stack):
            tifffile.imwrite(tmp_path / f"scan_{number:04d}.tif", frame)
        return SimpleNamespace(uri=f"file://{tmp_path}", frame=lambda index: stack[index])


class TestReplay(SourceContract):
    ends = True

    @pytest.fixture
    def peer(self, tmp_path):
        stack = frames(self.n_frames)
        path = write_run(tmp_path / "run.h5", stack)
        stream = Path(tmp_path / "stream.frs")
        record_stream(find_source(f"file://{path}?rate=200"), stream)
        return SimpleNamespace(uri=f"replay://{stream}?rate=max", frame=lambda index: stack[index])
