"""What the documents point at exists: files, headings, tests; and commands that they give run."""

import re
import runpy
import subprocess
import sys

import pytest

from tests.docs.markdown import DOCS, ROOT, anchor, code_blocks, headings, links, quoted

DOCUMENTS = {
    str(path.relative_to(ROOT)): path
    for path in (*sorted(DOCS.glob("*.md")), *sorted(ROOT.glob("*.md")))
}
CHECKED_PATHS = re.compile(
    r"(?:edgenode|tests|docs|models|datasets|demo|bench|requirements)/[\w./-]+[\w/](?:::\w+)?"
)


def text_of(name: str) -> str:
    return DOCUMENTS[name].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_leads_somewhere(name):
    for target in links(text_of(name)):
        path, _, heading = target.partition("#")
        file = (DOCUMENTS[name].parent / path).resolve() if path else DOCUMENTS[name]
        assert file.exists(), target
        if heading:
            anchors = [anchor(h) for h in headings(file.read_text(encoding="utf-8"))]
            assert heading in anchors, target


OWN = ("docs/architecture.md", "docs/gossip.md", "docs/ledger.md", "docs/paper.md",
       "CONTRIBUTING.md")  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_every_file_and_test_that_is_named_exists(name):
    named = [q for q in quoted(text_of(name)) if CHECKED_PATHS.fullmatch(q)]
    assert named
    for path in named:
        file, _, test = path.partition("::")
        assert (ROOT / file).exists(), path
        if test:
            source = (ROOT / file).read_text(encoding="utf-8")
            assert re.search(rf"^(?:async )?def {test}\(", source, re.MULTILINE), path


def test_the_rooms_of_the_architecture_are_those_of_the_floors():
    floors = re.search(
        r"^FLOORS = \((.*?)\)", (ROOT / "tests/test_rooms.py").read_text(), re.MULTILINE | re.DOTALL
    )
    assert floors
    rows = re.findall(r"^\| `(\w+)/` \|", text_of("docs/architecture.md"), re.MULTILINE)
    assert rows == re.findall(r'"(\w+)"', floors[1])


def test_every_document_stands_in_the_index():
    targets = {target.partition("#")[0] for target in links(text_of("docs/README.md"))}
    assert {path.name for path in DOCS.glob("*.md")} - {"README.md"} <= targets


def test_the_tests_that_contributing_names_can_be_collected():
    lines = "".join(code_blocks(text_of("CONTRIBUTING.md"), "sh"))
    named = re.findall(r'pytest "?(tests/[^"\n]+?::[^"\s]+)', lines)
    assert len(named) == 2
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *named],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout
    assert sorted(line for line in found.stdout.splitlines() if "::" in line) == sorted(named)


def test_the_simulation_of_contributing_runs_and_repeats(tmp_path, capsys):
    (code,) = code_blocks(text_of("CONTRIBUTING.md"), "python")
    script = tmp_path / "replay.py"
    script.write_text(code)
    runpy.run_path(str(script))
    first = capsys.readouterr().out
    assert len(first.splitlines()) == 4
    runpy.run_path(str(script))
    assert capsys.readouterr().out == first
