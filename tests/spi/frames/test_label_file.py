"""Labels typed by people: what is understood, and what is refused with its line."""

import pytest

from friedel.core.errors import InputError
from friedel.spi.frames.labels import read_labels, write_label_sheet


@pytest.fixture
def sheet(tmp_path):
    def write(text):
        path = tmp_path / "labels.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_labels_come_sorted_and_empty_ones_are_left_out(sheet):
    found = read_labels(sheet("frame,why,label\n7,odd, Single\n3,x,0\n5,x,\n9,,hit\n7,again,1\n"), n_frames=10)
    assert found.frames.tolist() == [3, 7, 9]
    assert found.single.tolist() == [False, True, True]
    assert len(found) == 3


@pytest.mark.parametrize("parted_by", [",", ";", "\t"])
def test_labels_as_people_keep_them(sheet, parted_by):
    lines = ["Frame, LABEL", "0, 1.0", "1, 0.0", "2, multi", "3, non-hit", "4, -1", "5,", "6, Single", "7.0, Non_Hit"]
    found = read_labels(sheet("\n".join(lines).replace(",", parted_by)), n_frames=10)
    assert found.frames.tolist() == [0, 1, 2, 3, 6, 7]
    assert found.single.tolist() == [True, False, False, False, True, False]


@pytest.mark.parametrize(
    "text",
    [
        ' "frame" ; "label" \n 0 ; "1" \n3;0\n',
        "index,label\n0,1\n3,0\n",
        "Frame Number\tLabel\n0\t1\n3\t0\n",
        "# looked at on Friday\nframe,label\n# more\n0,1\n\n3,0\n",
        "sep=;\nframe;label\n0;1,0\n3;0,0\n",
        "frame label\n0 y\n3 n\n",
        "label,frame,why\r\n1,0,a;b;c;d\r\n0,3,x\r\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_tables_of_other_programs_are_read(tmp_path, text, encoding):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    found = read_labels(path, n_frames=10)
    assert found.frames.tolist() == [0, 3]
    assert found.single.tolist() == [True, False]


def test_bytes_that_are_no_utf8_are_read_as_latin1(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes("frame,label,why\n0,1,größe\n".encode("latin-1"))
    assert len(read_labels(path, n_frames=10)) == 1


def test_a_sheet_is_filled_in_and_read_back(tmp_path):
    path = tmp_path / "sheet.csv"
    write_label_sheet(path, [4, 2], ["group 0", "doubtful"])
    lines = path.read_text().splitlines()
    assert lines == ["frame,label,why", "4,,group 0", "2,,doubtful"]
    path.write_text("\n".join([lines[0], "4,1,group 0", "2,bad,doubtful"]))
    assert read_labels(path, n_frames=5).single.tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("number,label\n1,1\n", "no column 'frame'"),
        ("frame,label\n1,perhaps\n", "line 2: label 'perhaps' is none of"),
        ("frame,label\n1,1\n99,0\n", "line 3: frame 99 is not in the run, whose frames are 0 to 9"),
        ("frame,label\none,1\n", "frame 'one' is not a number"),
        ("frame,label\n1,1\n1,0\n", "two different labels"),
        ("frame,label\n1,\n", "no frame has a label"),
        ("file,frame,label\na.h5,0,1\nb.h5,3,0\n", "labels are of 2 files"),
        ("frame,label,label\n0,1,0\n", "two columns have one name"),
        ("", "no column"),
    ],
)
def test_what_is_not_a_label_is_named(sheet, text, words):
    with pytest.raises(InputError, match=words):
        read_labels(sheet(text), n_frames=10)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="can't be read"):
        read_labels(tmp_path / "none.csv", n_frames=3)
