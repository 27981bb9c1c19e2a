"""Who is let in, by headers alone; and which paths are files of the run."""

import pytest

from friedel.web.access import host_is_ours, is_loopback, new_token, origin_is_ours, token_fits
from friedel.web.files import file_inside


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1", "[::1]", "LOCALHOST"])
def test_loopback_has_several_names(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "beamline", "localhost.evil.example", ""])
def test_other_addresses_are_not_loopback(host):
    assert not is_loopback(host)


def test_on_loopback_a_strange_name_for_this_machine_is_not_ours():
    assert host_is_ours("localhost:8765", "127.0.0.1")
    assert host_is_ours("[::1]:8765", "::1")
    assert not host_is_ours("evil.example:8765", "127.0.0.1")
    assert not host_is_ours(None, "127.0.0.1")
    assert host_is_ours("beamline.example:8765", "0.0.0.0")


def test_only_our_own_page_may_open_a_socket():
    assert origin_is_ours(None, "localhost:8765")
    assert origin_is_ours("http://localhost:8765", "localhost:8765")
    for origin in ("http://evil.example", "http://localhost:9999", "null", "file://localhost:8765", ""):
        assert not origin_is_ours(origin, "localhost:8765")


def test_a_token_fits_exactly_or_not_at_all():
    token = new_token()
    assert token != new_token()
    assert len(token) >= 24
    assert token_fits(token, token)
    assert token_fits(None, None)
    assert not token_fits(None, token)
    assert not token_fits(token[:-1], token)


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "run"
    (folder / "001_scan").mkdir(parents=True)
    (folder / "001_scan" / "report.html").write_text("report")
    (folder / ".hidden.html").write_text("no")
    (folder / "odd.sh").write_text("no")
    (tmp_path / "secret.html").write_text("secret")
    (folder / "way_out.html").symlink_to(tmp_path / "secret.html")
    (folder / "out").symlink_to(tmp_path)
    return folder


def test_files_of_the_run_are_found(run_folder):
    assert file_inside(run_folder, "001_scan/report.html") == run_folder.resolve() / "001_scan" / "report.html"


@pytest.mark.parametrize(
    "asked",
    [
        "../secret.html", "001_scan/../../secret.html", "/etc/passwd", "/etc/hosts.html", ".hidden.html", "odd.sh",
        "way_out.html", "out/secret.html", "001_scan", "nothing.html", "", "..", "a\0.html", "..\\secret.html",
    ],
)  # fmt: skip
def test_no_other_path_is(run_folder, asked):
    assert file_inside(run_folder, asked) is None


def test_without_a_folder_there_are_no_files():
    assert file_inside(None, "report.html") is None
