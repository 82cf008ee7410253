"""What the units promise by their text: who sees what, who yields to whom, who is started again."""

import tomllib

import pytest

from edgenode.services import notify
from edgenode.services.ending import EXIT_BAD_FILE
from edgenode.services.wanted import OPTIONAL, POOL
from tests.systemd.units import NODE, NODE_UNITS, SERVICES, UNITS, Unit, node_unit

INTERNET = {"AF_INET", "AF_INET6"}

SEES = {
    "collector": ["/var/lib/edgenode/samples"],
    "trainer": ["/var/lib/edgenode/samples"],
    "gossip": ["/var/lib/edgenode/gossip"],
    "miner": [],
    "pool": ["/var/lib/edgenode/miner"],
    "gateway": [],
    "exporter": [],
}
"""The parts of the node's state that each service sees."""

seconds = {"s": 1, "min": 60}.__getitem__


def span(text):
    """A time span such as 5min, in seconds."""
    number = text.rstrip("smin")
    return int(number) * seconds(text[len(number) :])


def test_the_target_wants_the_five_the_miner_in_both_its_units_and_the_gateway():
    wanted = Unit("edgenode.target").words("Unit", "Wants")
    assert sorted(wanted) == sorted(f"edgenode-{service}.service" for service in NODE_UNITS)


def test_the_miner_with_a_network_is_the_miner_but_for_network_and_shares():
    def lines(name):
        return [
            line
            for line in (UNITS / f"edgenode-{name}.service").read_text().splitlines()
            if line and not line.startswith("#")
        ]

    without, with_network = lines("miner"), lines("pool")
    assert [line for line in without if line not in with_network][2:] == [
        "ExecCondition=/usr/bin/edgenode-wanted miner",
        "RestrictAddressFamilies=AF_UNIX",
        "PrivateNetwork=yes",
        "IPAddressDeny=any",
    ]
    assert [line for line in with_network if line not in without][2:] == [
        "ExecCondition=/usr/bin/edgenode-wanted pool",
        "LimitNOFILE=2048",
        "StateDirectory=edgenode/miner",
        "StateDirectoryMode=0700",
        "BindPaths=/var/lib/edgenode/miner",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
    ]


@pytest.mark.parametrize("service", NODE_UNITS)
def test_a_service_sees_its_own_part_of_the_state_only(service):
    unit = node_unit(service)
    # An empty file system stands over all of it, also over what is made later.
    assert unit["Service", "TemporaryFileSystem"] == "/var/lib/edgenode:ro"
    assert unit.words("Service", "BindPaths") == SEES[service]
    assert unit.words("Service", "BindReadOnlyPaths") == []
    kept = [f"/var/lib/{name}" for name in unit.words("Service", "StateDirectory")]
    assert kept == SEES[service]
    if kept:
        assert unit["Service", "StateDirectoryMode"] == "0700"
    assert unit["Service", "ProtectSystem"] == "strict"
    assert unit.all("Service", "ReadWritePaths") == []


def test_only_collector_and_trainer_run_as_the_owner_of_the_samples():
    owners = {service: node_unit(service)["Service", "User"] for service in NODE_UNITS}
    assert {service for service, user in owners.items() if user == "edgenode-samples"} == {
        service for service, paths in SEES.items() if "/var/lib/edgenode/samples" in paths
    }
    assert len(set(owners.values())) == 5


@pytest.mark.parametrize("service", NODE_UNITS)
def test_only_gossip_exporter_pool_and_gateway_may_make_internet_sockets(service):
    unit = node_unit(service)
    families = set(unit.words("Service", "RestrictAddressFamilies"))
    if service in {"gossip", "exporter", "pool", "gateway"}:
        # Gossip and gateway ask the kernel which networks there are, and have the ends of a link.
        asks = {"AF_NETLINK", "AF_BLUETOOTH"} if service in {"gossip", "gateway"} else set()
        assert families == {"AF_UNIX", *INTERNET, *asks}
    else:
        assert families == {"AF_UNIX"}
        assert unit["Service", "PrivateNetwork"] == "yes"
        assert unit["Service", "IPAddressDeny"] == "any"


@pytest.mark.parametrize("name", ["miner", "pool"])
def test_the_miner_may_read_the_thermal_zones_and_write_nothing_beside_them(name):
    unit = node_unit(name)
    assert unit["Service", "ProtectKernelTunables"] == "yes"  # /sys is there, and read-only
    hidden = [
        path.lstrip("-+")
        for key in ("InaccessiblePaths", "TemporaryFileSystem", "BindPaths", "BindReadOnlyPaths")
        for path in unit.words("Service", key)
    ]
    assert hidden
    assert not any(path == "/" or path.startswith("/sys") for path in hidden)
    assert unit.all("Service", "RootDirectory") == unit.all("Service", "RootImage") == []


@pytest.mark.parametrize("service", NODE_UNITS)
def test_only_the_collector_reaches_the_system_bus(service):
    hidden = node_unit(service).words("Service", "InaccessiblePaths")
    assert ("-/run/dbus" in hidden) == (service != "collector")


def test_only_gossip_gets_the_keys_and_the_gateway_the_wards():
    for service in NODE_UNITS:
        unit = node_unit(service)
        loaded = dict(value.split(":") for value in unit.all("Service", "LoadCredential"))
        keys = {"gossip": {"ward.key", "member.key"}, "gateway": {"ward.key"}}.get(service, set())
        assert loaded == {key: f"/etc/edgenode/{key}" for key in keys}


@pytest.mark.parametrize("service", NODE_UNITS)
def test_a_service_that_hangs_or_dies_is_started_again_for_ever_but_not_in_a_hurry(service):
    unit = node_unit(service)
    assert unit["Service", "Type"] == "notify"
    assert span(unit["Service", "WatchdogSec"]) >= 60
    assert unit["Service", "Restart"] == "on-failure"
    assert int(unit["Service", "RestartPreventExitStatus"]) == EXIT_BAD_FILE
    assert int(unit["Unit", "StartLimitBurst"]) > 1
    # Five failures in a row reach the limit, and then somebody has to start it again.
    burst = int(unit["Unit", "StartLimitBurst"]) * span(unit["Service", "RestartSec"])
    assert burst < span(unit["Unit", "StartLimitIntervalSec"])
    assert unit["Unit", "OnFailure"] == "edgenode-retry@%N.service"
    retry = Unit("edgenode-retry@.service")
    assert "/bin/systemctl --no-block start %i.service" in retry.all("Service", "ExecStart")
    assert f"!= {EXIT_BAD_FILE}" in retry["Service", "ExecCondition"]


@pytest.mark.parametrize("service", NODE_UNITS)
def test_a_service_with_a_table_is_started_only_with_it(service):
    condition = node_unit(service).get("Service", "ExecCondition")
    assert condition == (
        f"/usr/bin/edgenode-wanted {service}" if service in {*OPTIONAL, POOL} else None
    )


@pytest.mark.parametrize("service", NODE_UNITS)
def test_no_service_leaves_a_core_dump_of_samples_or_keys(service):
    assert node_unit(service)["Service", "LimitCORE"] == "0"


def test_the_programs_of_the_units_are_the_packages():
    project = tomllib.loads((UNITS.parent / "pyproject.toml").read_text())["project"]
    started = {program for name in SERVICES for program in Unit(name).programs()}
    ours = {program for program in started if program.startswith("/usr/bin/edgenode")}
    assert {program.rpartition("/")[2] for program in ours} <= set(project["scripts"])
    theirs = {"/bin/sh", "/bin/sleep", "/bin/systemctl", "/usr/bin/hciconfig"}
    assert started - ours == theirs


def test_collecting_goes_before_training_and_mining_takes_the_rest():
    weights = {
        name: Unit(f"edgenode-{name}.slice")["Slice", "CPUWeight"]
        for name in ("collecting", "training", "mining")
    }
    assert int(weights["collecting"]) > int(weights["training"])
    assert weights["mining"] == "idle"
    slices = {service: node_unit(service)["Service", "Slice"] for service in NODE}
    assert slices == {
        "collector": "edgenode-collecting.slice",
        "gossip": "edgenode-collecting.slice",
        "trainer": "edgenode-training.slice",
        "exporter": "edgenode-training.slice",
        "miner": "edgenode-mining.slice",
    }
    assert node_unit("miner")["Service", "CPUSchedulingPolicy"] == "idle"


def test_when_memory_is_short_mining_dies_first_and_collecting_last():
    scores = {service: int(node_unit(service)["Service", "OOMScoreAdjust"]) for service in NODE}
    assert sorted(NODE, key=scores.__getitem__, reverse=True) == [
        "miner", "exporter", "trainer", "gossip", "collector"
    ]  # fmt: skip
    assert len(set(scores.values())) == len(NODE)


@pytest.mark.parametrize("service", NODE_UNITS)
def test_memory_is_bounded_and_squeezed_before_it_is_refused(service):
    unit = node_unit(service)
    high, most = (unit["Service", key] for key in ("MemoryHigh", "MemoryMax"))
    assert 0 < int(high.removesuffix("M")) < int(most.removesuffix("M"))


def test_only_a_release_on_trial_reboots_the_box():
    reboots = {name for name in SERVICES if Unit(name).get("Unit", "FailureAction")}
    assert reboots == {"edgenode-trial.service"}
    trial, health = Unit("edgenode-trial.service"), Unit("edgenode-health.service")
    assert trial.all("Unit", "ConditionKernelCommandLine") == ["edgenode.trial"]
    assert "!edgenode.trial" in health.all("Unit", "ConditionKernelCommandLine")
    assert trial["Service", "ExecStart"] == health["Service", "ExecStart"]


def test_bluetoothd_is_started_again_whatever_ends_it():
    dropin = Unit("bluetooth.service.d/edgenode.conf")
    assert dropin["Unit", "StartLimitIntervalSec"] == "0"
    assert dropin["Service", "Restart"] == "always"  # without D-Bus it ends with status 0
    assert span(dropin["Service", "WatchdogSec"]) == 30
    assert dropin["Service", "Slice"] == node_unit("collector")["Service", "Slice"]


@pytest.mark.parametrize("service", NODE_UNITS)
def test_a_start_may_take_as_long_as_one_step_of_a_long_one(service):
    allowed = span(node_unit(service)["Service", "TimeoutStartSec"])
    assert allowed == notify.STEP_SECONDS
