import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner

from edgenode.cli.main import cli
from tests.api.ledger_node import LedgerNode
from tests.ledger.builder import ALICE, BOB


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self):
        assert self.err == ""
        return json.loads(self.out)


@pytest.fixture
def edgenode(tmp_path, monkeypatch):
    """Run the command in an empty directory, with no node named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EDGENODE_CONFIG", raising=False)
    monkeypatch.delenv("EDGENODE_SOCKET", raising=False)

    def edgenode(*arguments, **environment):
        result = CliRunner().invoke(cli, [str(a) for a in arguments], env=environment)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return edgenode


@pytest.fixture
def node(tmp_path):
    node = LedgerNode()
    node.round(ALICE, BOB)
    node.grow(2)
    with node.serving(tmp_path / "node.sock"):
        yield node


@pytest.fixture
def ask(node, edgenode, tmp_path):
    return lambda *arguments: edgenode("--socket", tmp_path / "node.sock", *arguments)
