"""The page's address on the command line, and the demo that opens it."""

import pytest
from typer.testing import CliRunner

from friedel.cli.main import app
from friedel.cli.serve import serve_options
from friedel.core.errors import PlanError


@pytest.mark.parametrize(
    ("typed", "host", "port"),
    [("8765", "127.0.0.1", 8765), ("0", "127.0.0.1", 0), ("0.0.0.0:80", "0.0.0.0", 80), ("[::1]:9000", "::1", 9000)],
)
def test_a_port_alone_is_loopback_s(typed, host, port):
    options = serve_options(typed)
    assert (options.host, options.port) == (host, port)


@pytest.mark.parametrize("typed", ["web", "host:", "", "1.2.3.4:x", "70000"])
def test_what_is_no_port_is_refused(typed):
    with pytest.raises(PlanError, match="port"):
        serve_options(typed)


def test_the_commands_tell_of_the_page():
    runner = CliRunner()
    assert "--serve" in runner.invoke(app, ["watch", "--help"], env={"COLUMNS": "200"}).output
    told = runner.invoke(app, ["demo", "live", "--help"], env={"COLUMNS": "200"}).output
    assert "--crystal" in told
    assert "ends by itself" in told


def test_a_crystal_watch_without_a_folder_says_what_is_missing():
    answer = CliRunner().invoke(app, ["watch", "tiff+dir:///nowhere", "--crystals"])
    assert answer.exit_code == 2
    assert "no folder for the results" in answer.output
