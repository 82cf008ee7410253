"""What the command says of a running node, for people and for machines."""

import os
import time

import numpy as np
import pytest

from edgenode.api.block_shapes import BlockShape
from edgenode.api.json_record import from_json
from edgenode.api.shapes import LastReport, ServiceReport, Status
from edgenode.api.wording import shown_duration
from edgenode.cli.output import shown_energy, shown_hash_rate
from edgenode.ledger.hashes import display
from tests.api.ledger_node import PEER_ADDRESS, LedgerNode
from tests.ledger.builder import ALICE, BOB


def test_status_shows_head_models_and_services(ask, node):
    node.reports["trainer"] = (ServiceReport("waiting for windows", {}), time.monotonic())
    ran = ask("status")
    assert ran.code == 0
    assert display(node.bench.chain.head.id) in ran.out
    for text in ("bed-1", "test ward", "activity", "waiting for windows", "update_base_stale 2"):
        assert text in ran.out


def states(ran):
    """What status says of each service."""
    assert ran.code == 0
    lines = ran.out[ran.out.index("service ") :].splitlines()[1:]
    return dict(line.split(maxsplit=1) for line in lines)


def test_a_service_that_nobody_asked_for_is_not_missed(edgenode, node, tmp_path):
    path = tmp_path / "edgenode.toml"
    path.write_text('[node]\nname = "bed-1"\napi = "node.sock"\n[miner]\n')
    assert states(edgenode("status", "--config", path)) == {
        "collector": "not configured",
        "trainer": "not configured",
        "miner": "no report",
        "exporter": "not configured",
    }


def test_without_a_configuration_what_does_not_report_has_no_report(ask):
    assert set(states(ask("status")).values()) == {"no report"}


def test_a_service_that_reports_is_shown_configured_or_not(edgenode, node, tmp_path):
    path = tmp_path / "edgenode.toml"
    path.write_text('[node]\nname = "bed-1"\napi = "node.sock"\n')
    node.reports["exporter"] = (ServiceReport("ok", {"scrapes_total": 2}), time.monotonic())
    assert states(edgenode("status", "--config", path))["exporter"] == "ok"


def test_a_service_that_fell_silent_is_shown_with_what_it_said_last(ask, node):
    node.reports["miner"] = (ServiceReport("ok", {"hash_rate": 375e3}), time.monotonic() - 3600)
    ran = ask("status")
    assert states(ran)["miner"] == "silent for 60 min (last: ok)"
    assert "at this miner's" not in ran.out


def test_a_state_comes_with_what_its_service_has_done(ask, node):
    now = time.monotonic()
    reports = {
        "collector": ("no sensor is connected", {"stored_samples_total": 12345}),
        "trainer": ("ok", {"windows_total": 1234, "accuracy": 0.931, "loss": 0.2}),
        "miner": (
            "ok",
            {
                "hash_rate": 375_041.7,
                "temperature_celsius": 48.3,
                "joules_total": 12_345.0,
                "joules_per_block": 411.5,
            },
        ),
    }
    reports["gateway"] = ("ok", {"boxes": 2})
    node.reports |= {name: (ServiceReport(*report), now) for name, report in reports.items()}
    shown = states(ask("status"))
    assert shown["gateway"] == "ok, 2 boxes linked"
    assert shown["collector"] == "no sensor is connected, 12,345 samples stored"
    assert shown["trainer"] == "ok, 1,234 windows, accuracy 0.93"
    assert shown["miner"] == "ok, 375 kH/s, 48 °C, about 12.3 kJ spent, 412 J a block"


def test_figures_that_are_not_known_yet_are_left_out(ask, node):
    now = time.monotonic()
    node.reports["trainer"] = (ServiceReport("ok", {"windows_total": 0}), now)
    node.reports["miner"] = (ServiceReport("starting", {}), now)
    shown = states(ask("status"))
    assert (shown["trainer"], shown["miner"]) == ("ok, 0 windows", "starting")


def field(ran, name):
    lines = [line for line in ran.out.splitlines() if line.startswith(f"{name}  ")]
    assert len(lines) == 1, ran.out
    return lines[0].removeprefix(name).strip()


def test_how_long_the_next_block_takes_is_told_at_the_miners_rate(ask, node):
    hashes = node.run(node.status).head.expected_hashes
    assert field(ask("status"), "next block") == f"{hashes:,} hashes"
    rate = hashes / 240
    node.reports["miner"] = (ServiceReport("ok", {"hash_rate": rate}), time.monotonic())
    assert field(ask("status"), "next block") == (
        f"{hashes:,} hashes, about 4 min at this miner's {shown_hash_rate(rate)}"
    )
    node.reports["miner"] = (ServiceReport("the node is away", {"hash_rate": 0}), time.monotonic())
    assert field(ask("status"), "next block") == f"{hashes:,} hashes"


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(0, "0 H/s"), (999.4, "999 H/s"), (999.6, "1 kH/s"), (375_041.7, "375 kH/s"),
     (1.25e6, "1.25 MH/s"), (1.5e12, "1,500.000 GH/s")],
)  # fmt: skip
def test_a_hash_rate_has_the_unit_that_suits_it(rate, shown):
    assert shown_hash_rate(rate) == shown


@pytest.mark.parametrize(
    ("joules", "shown"),
    [(0, "0 J"), (999.4, "999 J"), (999.6, "1 kJ"), (2.5e6, "2.5 MJ"), (7.25e12, "7,250.0 GJ")],
)
def test_an_energy_has_the_unit_that_suits_it(joules, shown):
    assert shown_energy(joules) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.0131, "0.013 s"), (40, "40 s"), (89.6, "90 s"), (240, "4 min"), (3 * 3600, "3 h"),
     (1e9, "11,574 days"), (float("inf"), "inf days")],
)  # fmt: skip
def test_a_duration_has_the_unit_that_suits_it(seconds, shown):
    assert shown_duration(seconds) == shown


def test_genesis_is_no_block_after_a_parent(edgenode, tmp_path):
    with LedgerNode().serving(tmp_path / "node.sock"):
        for arguments in (("status",), ("chain", "list"), ("chain", "show", "0")):
            ran = edgenode("--socket", "node.sock", *arguments)
            assert ran.code == 0
            assert " genesis" in ran.out
            assert "0 s" not in ran.out


def test_status_as_json_is_the_local_apis(ask, node):
    node.reports["trainer"] = (ServiceReport("ok", {"loss": 0.5}), 0.0)
    document = ask("--json", "status").document
    assert from_json(Status, document) == node.run(node.status)
    assert from_json(LastReport, document["services"]["trainer"]).values == {"loss": 0.5}


def test_peers_are_listed(ask):
    ran = ask("peers")
    assert PEER_ADDRESS in ran.out
    for shown in ("(no broadcast)", "bed-7", "4.0 ms", "2.0 ms", "1200 kB/s"):
        assert shown in ran.out
    assert ask("--json", "peers").document[0]["address"] == PEER_ADDRESS


def test_a_capture_is_written_where_it_was_asked_for(ask, tmp_path):
    ran = ask("capture", str(tmp_path / "ward.pcapng"), "--seconds", "1")
    assert ran.code == 0
    assert (tmp_path / "ward.pcapng").read_bytes() == b"a capture"
    assert "9 bytes in 1 s" in ran.err
    assert ask("capture", str(tmp_path / "ward.pcapng"), "--seconds", "99").code == 2


def test_the_last_blocks_are_listed(ask, node):
    ran = ask("chain", "list", "--count", "2")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["height", "2", "3"]
    assert [b["height"] for b in ask("--json", "chain", "list", "--from", "0").document] == [
        0, 1, 2, 3,
    ]  # fmt: skip


def test_a_block_is_shown_decoded_by_height_and_by_id(ask, node):
    transfer = node.run(lambda: node.bench.transfer(ALICE, BOB, 7, 0))
    node.add(transfer)
    by_height = ask("--json", "chain", "show", "1").document
    assert len(from_json(BlockShape, by_height).updates) == 2
    assert ask("--json", "chain", "show", by_height["id"].upper()).document == by_height
    readable = ask("chain", "show", "1").out
    for update in by_height["updates"]:
        assert update["id"] in readable
    assert transfer.id.hex() in ask("chain", "show", "4").out


def test_models_are_listed_with_their_round(ask):
    assert ask("model", "list").out.splitlines()[1].split()[:3] == ["activity", "12", "1"]
    assert ask("--json", "model", "list").document[0]["round"] == 1


def test_a_list_of_models_shows_the_end_of_each_root_and_json_all_of_it(ask, node):
    (model,) = node.run(node.status).head.models
    assert ask("model", "list").out.splitlines()[1].split()[-1] == f"…{model.root[-8:]}"
    assert ask("--json", "model", "list").document[0]["root"] == model.root


def test_parameters_are_exported_as_float32(ask, node, tmp_path):
    ran = ask("model", "export", "activity", "--out", "m.bin")
    assert ran.out == "m.bin: 12 parameters of activity at height 3, round 1\n"
    values = np.fromfile(tmp_path / "m.bin", "<f4")
    exact = node.bench.parameters()
    assert (values * 2**24).tolist() == exact


def test_parameters_are_exported_for_numpy_with_where_they_are_from(ask, node, tmp_path):
    document = ask("--json", "model", "export", "activity", "--out", "m.npz", "--at", "0").document
    with np.load(tmp_path / "m.npz") as file:
        assert (file["parameters"] * 2**24).tolist() == [1000 * n for n in range(12)]
        assert (int(file["height"]), int(file["round"])) == (0, 0)
        assert str(file["block"]) == document["block"] == display(node.bench.genesis.id)


def test_an_export_writes_over_nothing_unless_told(ask, tmp_path):
    (tmp_path / "m.bin").write_text("precious")
    ran = ask("model", "export", "activity", "--out", "m.bin")
    assert (ran.code, ran.out) == (5, "")
    assert "there is a file already; name another one, or write over it with --force" in ran.err
    assert (tmp_path / "m.bin").read_text() == "precious"
    assert ask("model", "export", "activity", "--out", "m.bin", "--force").code == 0
    assert len((tmp_path / "m.bin").read_bytes()) == 48


def test_an_export_goes_where_a_link_leads(ask, tmp_path):
    (tmp_path / "target.bin").write_text("old")
    (tmp_path / "m.bin").symlink_to("target.bin")
    (tmp_path / "new.bin").symlink_to("elsewhere.bin")
    assert ask("model", "export", "activity", "--out", "m.bin").code == 5
    assert ask("model", "export", "activity", "--out", "m.bin", "--force").code == 0
    assert ask("model", "export", "activity", "--out", "new.bin").code == 0
    assert (tmp_path / "m.bin").is_symlink()
    assert (tmp_path / "new.bin").is_symlink()
    assert len((tmp_path / "target.bin").read_bytes()) == 48
    assert len((tmp_path / "elsewhere.bin").read_bytes()) == 48


@pytest.mark.parametrize("through_a_link", [False, True])
@pytest.mark.parametrize("force", [(), ("--force",)])
def test_an_export_replaces_no_device_or_pipe(ask, tmp_path, force, through_a_link):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("fifo")
    out = "link" if through_a_link else "fifo"
    ran = ask("model", "export", "activity", "--out", out, *force)
    assert (ran.code, ran.out) == (5, "")
    assert f"{out}: is no regular file; name another one" in ran.err
    assert (tmp_path / "fifo").is_fifo()


def test_an_export_that_fails_leaves_nothing(ask, tmp_path):
    assert ask("model", "export", "nothing", "--out", "m.bin").code == 4
    ran = ask("model", "export", "activity", "--out", "none/m.bin")
    assert (ran.code, ran.out) == (5, "")
    assert "none/m.bin: cannot be written: No such file or directory" in ran.err
    assert [p.name for p in tmp_path.iterdir()] == ["node.sock"]


def test_a_model_that_the_ward_lacks_is_named(ask):
    ran = ask("model", "export", "mnist", "--out", "m.bin")
    assert ran.code == 4
    assert "this ward has no model" in ran.err


@pytest.mark.parametrize("block", ["99", "ff" * 32])
def test_a_block_that_is_not_there_is_code_4(ask, block):
    ran = ask("chain", "show", block)
    assert (ran.code, ran.out) == (4, "")
    assert f"edgenode: the node does not have it: there is no block {block}" in ran.err


@pytest.mark.parametrize("block", ["", "-1", "abc", "ff" * 31, "4294967296", "12345678901", "head"])
@pytest.mark.parametrize(
    "arguments",
    [("chain", "show", "--"), ("chain", "list", "--from"),
     ("model", "export", "activity", "--out", "m.bin", "--at")],
)  # fmt: skip
def test_what_is_no_block_is_wrong_usage_wherever_it_stands(ask, arguments, block):
    ran = ask(*arguments, block)
    assert (ran.code, ran.out) == (2, "")
    assert "neither a height nor a block id" in ran.err


def test_blocks_are_listed_from_an_id_on_as_from_a_height(ask):
    second = ask("chain", "show", "2", "--json").document["id"]
    assert ask("chain", "list", "--from", second).out == ask("chain", "list", "--from", "2").out


def test_the_options_of_a_command_come_before_those_of_edgenode(node, edgenode, tmp_path):
    (tmp_path / "edgenode.toml").write_text('[node]\nname = "bed-1"\napi = "node.sock"\n')
    assert edgenode("--config", "none.toml", "peers", "--config", "edgenode.toml").code == 0
    assert edgenode("--socket", "none.sock", "peers", "--socket", "node.sock").code == 0
    assert edgenode("peers", "--config", "edgenode.toml", EDGENODE_CONFIG="none.toml").code == 0
    document = edgenode("status", "--socket", "node.sock", "--json").document
    assert document["node"] == "bed-1"


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("peers",),
        ("chain", "list"),
        ("chain", "show", "1"),
        ("model", "list"),
        ("model", "export", "activity", "--out", "m.bin"),
    ],
)
def test_a_node_that_does_not_run_is_code_3_with_what_to_start(edgenode, arguments, tmp_path):
    ran = edgenode("--socket", tmp_path / "none.sock", "--json", *arguments)
    assert (ran.code, ran.out) == (3, "")
    assert f"there is no socket {tmp_path}/none.sock" in ran.err
    assert "; start the node's service edgenode-gossip, or name another node" in ran.err


def test_the_node_is_found_through_the_configuration(node, edgenode, tmp_path):
    (tmp_path / "edgenode.toml").write_text('[node]\nname = "bed-1"\napi = "node.sock"\n')
    assert edgenode("--config", "edgenode.toml", "peers").code == 0
    assert edgenode("peers", EDGENODE_CONFIG="edgenode.toml").code == 0


def test_the_node_is_found_through_its_socket_in_the_environment(node, edgenode, tmp_path):
    assert edgenode("peers", EDGENODE_SOCKET=str(tmp_path / "node.sock")).code == 0


def test_without_any_node_named_the_missing_configuration_is_code_5(edgenode):
    ran = edgenode("--config", "edgenode.toml", "status")
    assert (ran.code, ran.out) == (5, "")
    assert (
        "edgenode.toml: there is no such file; name the node's edgenode.toml with --co" in ran.err
    )


def test_what_comes_from_others_cannot_steer_the_terminal(ask, node):
    node.reports["miner"] = (ServiceReport("ok", {}), 0.0)
    object.__setattr__(node.reports["miner"][0], "state", "\x1b[2Jok\r\n")
    ran = ask("status")
    assert "\x1b" not in ran.out
    assert "?[2Jok??" in ran.out
