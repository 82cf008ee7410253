"""Public keys are those that ssh-keygen makes, and nothing that could open another door."""

import base64
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.ssh_key import TYPES, public_key_line
from tests.appliance.boxes import KEY, ed25519_line
from tests.conftest import require_tool


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The public and the private file of a key that ssh-keygen makes."""
    tool = require_tool("ssh-keygen", "openssh-client")

    def made(kind, *options):
        folder = tmp_path_factory.mktemp("key")
        subprocess.run(
            [tool, "-q", "-t", kind, *options, "-N", "", "-C", "anna@pc", "-f", folder / "k"],
            check=True,
        )
        return (folder / "k.pub").read_text(), (folder / "k").read_text()

    return made


@pytest.mark.parametrize(
    ("kind", "options"),
    [("ed25519", ()), ("rsa", ("-b", "2048")), ("ecdsa", ("-b", "256")), ("ecdsa", ("-b", "384")),
     ("ecdsa", ("-b", "521"))],
)  # fmt: skip
def test_what_ssh_keygen_makes_is_accepted(made, kind, options):
    public, private = made(kind, *options)
    assert public_key_line(public) == public.strip()
    kind, encoded, _ = public.split()
    assert kind in TYPES
    for length in range(0, len(encoded), 7):  # cut off anywhere
        with pytest.raises(ValueError, match="cut off"):
            public_key_line(f"{kind} {encoded[:length]}")
    with pytest.raises(ValueError, match=r"is a private key.*\.pub") as caught:
        public_key_line(private)
    assert private.split("\n")[1] not in str(caught.value)


def test_keys_on_a_token_are_accepted():
    def line(kind, *fields):
        blob = b"".join(len(f).to_bytes(4, "big") + f for f in (kind.encode(), *fields))
        return f"{kind} {base64.b64encode(blob).decode()}"

    for kind, *fields in (
        ("sk-ssh-ed25519@openssh.com", b"k" * 32, b"ssh:"),
        ("sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", b"\4" + b"k" * 64, b"ssh:"),
    ):
        assert public_key_line(line(kind, *fields)) == line(kind, *fields)
        with pytest.raises(ValueError, match="no whole key"):
            public_key_line(line(kind, *fields[:-1]))


def test_a_short_rsa_key_is_refused(made):
    with pytest.raises(ValueError, match="no whole key of type ssh-rsa"):
        public_key_line(made("rsa", "-b", "1024")[0])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no known type"),
        ("ssh-dss AAAA", "no known type"),
        (f'command="/bin/sh" {KEY}', "no known type"),
        ("ssh-ed25519", "no whole key"),
        ("ssh-ed25519 ÄÖÜ", "not base64"),
        (KEY.replace("ssh-ed25519 ", "ssh-rsa "), "no whole key of type ssh-rsa"),
        (f"{KEY}\nssh-rsa AAAA", "line break"),
        (f"{KEY}\r{KEY}", "line break"),
        (f"{KEY} \u2028x", "line break"),
        ("ssh-ed25519 " + "A" * 9000, "more than any key"),
    ],
)
def test_what_is_no_key_is_refused_with_an_example(text, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        public_key_line(text)
    assert "such as ssh-ed25519 AAAA" in str(caught.value)


@given(st.text(), st.binary(min_size=32, max_size=32))
def test_whatever_the_comment_a_line_is_refused_or_one_line(comment, seed):
    try:
        line = public_key_line(ed25519_line(seed, comment))
    except ValueError:
        return
    assert len(line.splitlines()) == 1
    assert line.split()[:2] == ed25519_line(seed).split()[:2]
