"""Programs for boxes that only take part in a rollout's order of events.

No real update happens: `rauc`, `systemctl` and `edgenode` keep files below /box, and write down
how they were called. tests/qemu shows real updates.
"""

import json

CALLS = "/box/calls"

# A release is "good", or does one of these.
GOES_BACK, SICK_SENSORS, STUCK_CHAIN = "goes-back", "sick-sensors", "stuck-chain"

_PROGRAM = """\
#!/usr/bin/python3 -I
import json, os, pathlib, sys

box = pathlib.Path("/box")
state = json.loads((box / "state").read_text())
name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
if arguments != ["doctor", "--json"] and arguments != ["--json", "status"]:
    with (box / "calls").open("a") as calls:
        calls.write(" ".join([name, *arguments]) + "\\n")

def release_in(bundle):
    return json.loads(pathlib.Path(bundle).read_text())

def checks():
    runs = state["does"]
    found = {check: "ok" for check in
             ("clock", "storage", "services", "bluetooth", "peers", "chain", "slot", "sensors",
              "settings")}
    found |= state["ill"]
    if runs == "sick-sensors":
        found["sensors"] = "fail"
    values = {"slot": {"running": state["slot"], "state": state["slot_state"]}}
    return [{"name": check, "status": status, "detail": f"{check} is {status}", "hint": "",
             "values": values.get(check, {})} for check, status in found.items()]

status = 0
match name, arguments:
    case "rauc", ["info", _, bundle]:
        release = release_in(bundle)
        if not release["signed"]:
            print("signature verification failed", file=sys.stderr)
            status = 1
        else:
            print(json.dumps({"version": release["version"]}))
    case "rauc", ["install", bundle]:
        state["installed"] = release_in(bundle)
    case "systemctl", ["reboot"]:
        installed = state.pop("installed", None)
        boots = state["boots"] = state["boots"] + 1
        pathlib.Path("/proc/sys/kernel/random/boot_id").write_text(f"boot {boots}\\n")
        if installed and installed["does"] != "goes-back":
            state |= {"slot": "B" if state["slot"] == "A" else "A", "slot_state": "trial",
                      "looks": 0, "does": installed["does"]}
            pathlib.Path("/usr/lib/edgenode/release").write_text(installed["version"] + "\\n")
    case "edgenode", ["doctor", "--json"]:
        state["looks"] += 1
        if state["looks"] > 2:
            state["slot_state"] = "good"  # as edgenode-health says after a while
        found = checks()
        print(json.dumps({"ok": True, "checks": found}))
        status = 2 if any(check["status"] == "fail" for check in found) else 0
    case "edgenode", ["--json", "status"]:
        state["height"] += state["does"] != "stuck-chain"
        print(json.dumps({"head": {"height": state["height"]}}))
    case _:
        sys.exit(f"{name}: not asked for in a rollout: {arguments}")
(box / "state").write_text(json.dumps(state))
sys.exit(status)
"""


def install(boxes, box, **ill):
    """Put the programs on a box, which runs release 1 well but for what is `ill`."""
    for name in ("edgenode", "rauc", "systemctl"):
        boxes.write(box, f"/usr/bin/{name}", _PROGRAM, 0o755)
    state = {
        "slot": "A", "slot_state": "good", "boots": 0, "looks": 9, "height": 7, "does": "good",
        "ill": ill,
    }  # fmt: skip
    boxes.write(box, "/box/state", json.dumps(state))
    boxes.write(box, CALLS, "")
    boxes.write(box, "/usr/lib/edgenode/release", "1\n")


def bundle(folder, does="good", version="2", *, signed=True):
    """A file that the boxes' `rauc` understands."""
    file = folder / f"edgenode-{version}.raucb"
    file.write_text(json.dumps({"version": version, "does": does, "signed": signed}))
    return file


def calls(boxes, box):
    """How RAUC and systemd were called on a box."""
    return [line.split()[:2] for line in boxes.read(box, CALLS).splitlines()]


def release(boxes, box):
    """The release that runs."""
    return boxes.read(box, "/usr/lib/edgenode/release").strip()
