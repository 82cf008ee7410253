"""The exit status tells whether the run was good; the report is told in any case."""

import json

from demo.conclusion import conclude
from demo.observer import Agreement
from demo.report import SharedModel
from tests.demo.reports import a_report


def test_a_good_run_has_status_0_and_leaves_a_plot_and_a_document(tmp_path, capsys):
    assert conclude(a_report(), tmp_path, as_json=False) == 0
    said = capsys.readouterr()
    assert said.err == ""
    files = f"plot: {tmp_path / 'demo.png'}, figures: {tmp_path / 'demo.json'}"
    assert said.out.splitlines()[-1] == files
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "demo.json").read_text())["agree"]


def test_disagreement_has_status_1(tmp_path, capsys):
    report = a_report(agreement=Agreement({"bed-1": "aa", "bed-2": "ab"}, {}))
    assert conclude(report, tmp_path, as_json=True) == 1
    said = capsys.readouterr()
    assert said.err == "demo: the nodes do not agree\n"
    document = json.loads(said.out)
    assert not document["agree"]
    assert document["problems"] == ["the nodes do not agree"]


def test_a_run_without_any_aggregation_has_status_1(tmp_path):
    report = a_report(shared=[SharedModel(n, 0, 0, 6, 0.1) for n in range(29)])
    assert conclude(report, tmp_path, as_json=True) == 1


def test_files_that_cannot_be_written_have_status_1_and_lose_nothing(tmp_path, capsys):
    (tmp_path / "demo.png").mkdir()
    assert conclude(a_report(), tmp_path, as_json=True) == 1
    said = capsys.readouterr()
    assert json.loads(said.out)["agree"]
    assert said.err == f"demo: {tmp_path / 'demo.png'} cannot be written: Is a directory\n"
    assert json.loads((tmp_path / "demo.json").read_text()) == json.loads(said.out)
    assert conclude(a_report(), tmp_path / "none", as_json=False) == 1
    said = capsys.readouterr()
    assert "all nodes hold the same head" in said.out
    assert said.err.count("cannot be written: No such file or directory") == 2
