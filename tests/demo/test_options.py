"""Options that cannot be are refused in one line that says why."""

import pytest

from demo.__main__ import main
from demo.options import read_options


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--blocks", "0"),
        ("--blocks", "-3"),
        ("--blocks", "many"),
        ("--spacing", "0"),
        ("--spacing", "1.5"),
        ("--speed", "0"),
        ("--speed", "-1"),
        ("--speed", "nan"),
        ("--speed", "inf"),
    ],
)
def test_a_number_that_cannot_be_is_refused_by_its_option(tmp_path, capsys, option, value):
    with pytest.raises(SystemExit) as ended:
        main(["--out", str(tmp_path), option, value])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {option}" in last
    assert value in last


def test_a_file_in_place_of_the_folder_is_refused(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("precious")
    for out in (file, file / "below"):
        with pytest.raises(SystemExit) as ended:
            main(["--out", str(out)])
        assert ended.value.code == 2
        assert f"argument --out: {out} cannot" in capsys.readouterr().err.splitlines()[-1]
    assert file.read_text() == "precious"


def test_the_folder_is_made(tmp_path):
    assert read_options(["--out", str(tmp_path / "a" / "b")]).out.is_dir()


def test_a_spacing_that_no_ward_has_is_one_line(recorded, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    out = ["--recordings", str(recorded), "--out", str(tmp_path)]
    assert main([*out, "--spacing", "100000"]) == 1
    error = capsys.readouterr().err
    assert "demo: spacing is 100000; it must lie between 1 and 86400" in error
    assert "Traceback" not in error


def test_recordings_that_are_not_there_are_one_line(tmp_path, capsys):
    assert main(["--recordings", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
