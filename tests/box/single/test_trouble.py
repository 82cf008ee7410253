"""What goes wrong at a bedside: the box stays in reach, says what is wrong, and goes on."""


def stored(box):
    values = box.status()["services"]["collector"]["values"]
    return int(values["stored_samples_total"])


def wait_for_samples(box):
    before = stored(box)
    while stored(box) == before:
        continue


def test_a_killed_bluetoothd_is_started_again_and_data_flows(box):
    wait_for_samples(box)
    before = box.out("systemctl show --property=MainPID --value bluetooth")
    box.out("sudo systemctl kill --signal=KILL bluetooth")
    box.wait_until("systemctl is-active --quiet bluetooth")
    assert box.out("systemctl show --property=MainPID --value bluetooth") != before
    wait_for_samples(box)


def test_a_full_data_partition_is_said_and_the_node_goes_on_when_there_is_room(box):
    box.out("sudo fallocate -l $(df --output=avail --block-size=1 /data | tail -n 1) /data/filler "
            "|| sudo dd if=/dev/zero of=/data/filler bs=1M || true")  # fmt: skip
    try:
        state, words, status = box.doctor("storage")
        assert state == "fail"
        assert "is full" in words
        assert status != 0
    finally:
        box.out("sudo rm /data/filler")
    box.wait_until("edgenode status")
    box.wait_for_a_block()
    wait_for_samples(box)
    assert box.doctor("storage")[0] != "fail"


def test_a_service_that_keeps_failing_is_tried_again_after_a_rest(box):
    unit = "edgenode-retry@.service"
    box.out(
        f"sed 's/sleep 300/sleep 20/' /usr/lib/systemd/system/{unit} | "
        f"sudo tee /run/systemd/system/{unit} && sudo systemctl daemon-reload"
    )
    try:
        box.out(
            "until systemctl is-failed --quiet edgenode-exporter; do "
            "sudo systemctl kill --signal=KILL edgenode-exporter; sleep 1; done"
        )
        box.wait_until("systemctl is-active --quiet edgenode-exporter")
    finally:
        box.out(f"sudo rm /run/systemd/system/{unit} && sudo systemctl daemon-reload")
    assert box.failed_units() == ""
