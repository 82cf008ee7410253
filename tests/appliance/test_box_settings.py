"""A box's file is read table by table; a mistake is reported with its place and costs no more."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.appliance.box_settings import BoxSettings, read_box
from edgenode.appliance.host_name import StaticAddress, ip_address, ip_interface
from edgenode.appliance.wifi_key import pre_shared_key
from tests.appliance.boxes import COMPLETE, GENESIS_TEXT, KEY, OTHER_KEY, WARD_KEY

PSK = pre_shared_key("correct horse", "Ward 7")


@pytest.fixture
def read(tmp_path):
    def read(text, last_right=None, **beside):
        path = tmp_path / "edgenode.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        for name, content in beside.items():
            (tmp_path / name.replace("_", ".")).write_text(content)
        return read_box(path, last_right)

    return read


@pytest.fixture
def complete(read):
    reading = read(COMPLETE)
    assert reading.mistakes == ()
    return reading.settings


def told(reading):
    return [str(mistake) for mistake in reading.mistakes]


def test_every_key_reaches_the_settings(complete):
    assert complete.hostname == "bed-1"
    assert complete.ethernet == StaticAddress(
        ip_interface("10.0.0.21/24"),
        ip_address("10.0.0.1"),
        (ip_address("10.0.0.2"), ip_address("10.0.0.3")),
    )
    assert complete.wifi is not None
    assert (complete.wifi.country, complete.wifi.ssid, complete.wifi.psk) == ("DE", "Ward 7", PSK)
    assert complete.ssh_keys == (KEY, OTHER_KEY)
    assert complete.time_servers == ("ntp.hospital.example", "10.0.0.4")
    assert [str(network) for network in complete.metrics_from] == [
        "10.0.0.9/32",
        "10.1.0.0/16",
        "fd00::9/128",
    ]
    assert [str(network) for network in complete.stratum_from] == ["10.2.0.0/16"]
    assert complete.ward_key == WARD_KEY
    assert complete.node == {
        "node": {"name": "bed-one"},
        "gossip": {"seeds": ["10.0.0.22:7070"]},
        "collector": {"adapter": "bluez:hci0", "sensors": ["F0:0E:00:00:00:01"]},
        "trainer": {"model": "activity"},
        "miner": {"share": 0.5},
        "exporter": {"listen": "0.0.0.0:9464"},
        "gateway": {"listen": ["rfcomm:*"]},
    }


def test_an_empty_file_is_a_box_with_dhcp(read):
    reading = read("")
    assert (reading.settings, reading.mistakes) == (BoxSettings(), ())


MISTAKES = [
    ("box", '"bed-1"', '"bed 1"', 2, r"[box] hostname: 'bed 1' is no host name; write letters"),
    ("box", '"bed-1"', "1", 2, "[box] hostname: must be a string"),
    ("box", "hostname", "hostnam", 2, '[box] hostnam: there is no such key (did you mean "hostna'),
    ("ethernet", "0.21/24", "0.21", 5, "[ethernet] address: '10.0.0.21' is no IP address with"),
    ("ethernet", "0.21/24", "0.0/24", 5, "[ethernet] address: 10.0.0.0 stands for all of the"),
    ("ethernet", "0.1\"", "1.1\"", 6, "[ethernet] gateway: 10.0.1.1 is not in the box's network"),
    ("ethernet", '"10.0.0.1"', '"router"', 6, "[ethernet] gateway: 'router' is no IP address, s"),
    ("ethernet", '"10.0.0.2"', '"x"', 7, "[ethernet] dns: 'x' is no IP address, such as"),
    ("ethernet", '"10.0.0.2"', '"::1", "::2", "::3"', 7, "[ethernet] dns: 4 are more than 3"),
    ("ethernet", 'address = "10.0.0.21/24"', "", 6, "[ethernet] gateway: needs an address besid"),
    ("wifi", '"DE"', '"Germany"', 10, "[wifi] country: 'Germany' is no country in two capital"),
    ("wifi", '"DE"', '"de"', 10, "[wifi] country: 'de' is no country in two capital letters"),
    ("wifi", '"Ward 7"', '"' + "ä" * 17 + '"', 11, "[wifi] ssid: has 34 bytes; a network's na"),
    ("wifi", '"Ward 7"', '""', 11, "[wifi] ssid: has 0 bytes"),
    ("wifi", '"correct horse"', '"short"', 12, "[wifi] passphrase: must be 8 to 63 characters"),
    ("wifi", '"correct horse"', "1234567890", 12, "[wifi] passphrase: must be a text in quotes"),
    ("wifi", 'passphrase = "correct horse"', "", 9, "[wifi] passphrase: is missing"),
    ("time", '"10.0.0.4"', '"http://x"', 21, "[time] servers: 'http://x' is neither a host nam"),
    ("node", '"bed-one"', '"bed one"', 27, "[node] name: 'bed one' is not 1 to 64 letters"),
    ("node", '-one"', '-one"\nstate = "/x"', 28, '[node] state: is always "/var/lib/edgenode"'),
    ("gossip", "seeds", "seed", 30, '[gossip] seed: there is no such key (did you mean "seeds'),
    ("gossip", ":7070", "", 30, "[gossip] seeds: '10.0.0.22' is no address; write \"host:port\""),
    ("gossip", "seeds", 'ward_key = "w"\nseeds', 30, '[gossip] ward_key: is always "ward.key"'),
    ("collector", "F0:0E", "f0:0e", 34, "[collector] sensors: 'f0:0e:00:00:00:01' is no address"),
    ("collector", 'adapter = "bluez:hci0"', "", 32, "[collector]: adapter is missing"),
    ("trainer", "activity", "sleep", 37, '[trainer] model: there is no task "sleep"'),
    ("miner", "0.5", "2", 40, "[miner] share: 2.0 is not in 0.01..1"),
    ("miner", "0.5", "0x" + "f" * 5000, 40, "[miner] share: the number has more than 64 bits"),
    ("exporter", "0.0.0.0", "all", 43, "[exporter] listen: 'all' is no IP address"),
    ("firewall", "10.0.0.9", "grafana", 46, "[firewall] metrics_from: 'grafana' is neither an IP"),
    ("firewall", "10.1.0.0", "10.1.0.1", 46, "[firewall] metrics_from: '10.1.0.1/16' is neither"),
]  # fmt: skip
"""Table, what is replaced by what, line, beginning of what is said."""


@pytest.mark.parametrize(("table", "old", "new", "line", "text"), MISTAKES)
def test_a_mistake_is_placed_and_leaves_the_other_tables(read, table, old, new, line, text):
    assert old in COMPLETE
    reading = read(COMPLETE.replace(old, new, 1))
    where, what = reading.mistakes[0].where, reading.mistakes[0].what
    assert (len(reading.mistakes), where) == (1, f"edgenode.toml:{line}")
    assert what.startswith(text), what
    assert table not in reading.right
    assert set(reading.right) == reading.tables - {table}


@pytest.mark.parametrize(("table", "old", "new", "line", "text"), MISTAKES)
def test_what_is_wrong_keeps_its_last_right_value(read, complete, table, old, new, line, text):
    changed = COMPLETE.replace("bed-1", "bed-2").replace("share = 0.5", "share = 0.25")
    last_right = read(changed).settings
    spoilt = COMPLETE.replace(old, new, 1)
    settings = read(spoilt, last_right).settings
    assert settings.hostname == ("bed-2" if table == "box" else "bed-1")
    assert settings.node["miner"] == {"share": 0.25 if table == "miner" else 0.5}
    assert (settings.ethernet, settings.wifi) == (complete.ethernet, complete.wifi)
    assert settings.ssh_keys == complete.ssh_keys
    assert settings.node.keys() == complete.node.keys()


@pytest.mark.parametrize(("table", "old", "new", "line", "text"), MISTAKES)
def test_at_the_first_boot_what_is_wrong_has_its_default(read, table, old, new, line, text):
    settings = read(COMPLETE.replace(old, new, 1)).settings
    assert (settings.hostname == "edgenode") is (table == "box")
    assert (settings.ethernet is None) is (table == "ethernet")
    assert (settings.wifi is None) is (table == "wifi")
    assert settings.ssh_keys == (KEY, OTHER_KEY)
    assert ("collector" not in settings.node) is (table == "collector")


def test_a_table_that_is_left_out_is_off_again(read, complete):
    settings = read("[box]\n", complete).settings
    assert settings == BoxSettings()


def test_one_wrong_key_leaves_the_others(read, complete):
    reading = read(COMPLETE.replace(OTHER_KEY, OTHER_KEY[:40]), complete)
    assert reading.settings.ssh_keys == (KEY,)
    assert told(reading) == [
        "edgenode.toml:17: [ssh] keys: key 2 has a second word that is no whole key of type "
        "ssh-ed25519: is it cut off? write the line of a .pub file, such as ssh-ed25519 AAAA… "
        "anna@pc"
    ]


def test_when_no_key_is_right_the_last_right_ones_open(read, complete):
    reading = read('[ssh]\nkeys = ["ssh-rsa", "x"]\n', complete)
    assert reading.settings.ssh_keys == (KEY, OTHER_KEY)
    assert [mistake.where for mistake in reading.mistakes] == ["edgenode.toml:2"] * 2
    assert read("[ssh]\nkeys = 5\n", complete).settings.ssh_keys == (KEY, OTHER_KEY)


def test_a_misspelt_table_does_not_switch_the_real_one_off(read, complete):
    reading = read(COMPLETE.replace("[wifi]", "[wfii]"), complete)
    assert reading.settings.wifi == complete.wifi
    assert told(reading)[0].startswith(
        'edgenode.toml:9: [wfii]: there is no such table (did you mean "wifi"?); there are [box], '
    )
    assert read(COMPLETE.replace("[wifi]", "[wfii]")).settings.wifi is None


def test_a_key_in_no_table_and_an_array_of_tables_are_reported(read, complete):
    reading = read('hostname = "x"\n' + COMPLETE.replace("[time]", "[[time]]"), complete)
    assert told(reading) == [
        "edgenode.toml:1: hostname: stands in no table; it must come below a [table] line",
        "edgenode.toml:21: [time]: write [time] once, not [[time]]",
    ]
    assert reading.settings == complete


# A whole file that is not TOML is cut at its tables.


@pytest.mark.parametrize(
    ("old", "new", "line", "table"),
    [
        ('"Ward 7"', '"Ward 7', 11, "wifi"),
        ('ssid = "Ward 7"', 'ssid "Ward 7"', 11, "wifi"),
        ('ssid = "Ward 7"', "ssid = Ward 7", 11, "wifi"),
        ('"Ward 7"', "“Ward 7”", 11, "wifi"),
        ('servers = ["', 'servers = "', 21, "time"),
        ('"bed-1"', "bed-1", 2, "box"),
        ('"bed-1"', '"""bed-1', 1, "box"),
        ("[time]", "[time", 20, "time"),
    ],
)
def test_a_missing_quote_costs_only_its_table(read, complete, old, new, line, table):
    assert old in COMPLETE
    reading = read(COMPLETE.replace(old, new, 1), complete)
    assert reading.settings == complete
    assert reading.mistakes[0].where == f"edgenode.toml:{line}", told(reading)
    first = read(COMPLETE.replace(old, new, 1)).settings
    assert first.ssh_keys == complete.ssh_keys
    assert first.ethernet == complete.ethernet
    assert (first.wifi is None) is (table == "wifi")


def test_typographic_quotes_are_named(read):
    reading = read(COMPLETE.replace('"Ward 7"', "“Ward 7”"))
    assert 'typographic quotes, write plain ones: "' in told(reading)[0]


def test_a_table_that_stands_twice_is_wrong(read, complete):
    reading = read(COMPLETE + '[box]\nhostname = "other"\n', complete)
    assert told(reading) == ["edgenode.toml:51: [box]: stands twice in the file; write it once"]
    assert reading.settings == complete


def test_a_file_of_nothing_but_tables_is_not_read_piece_by_piece(read, complete):
    reading = read("[box]\n" * 100_000, complete)
    assert len(reading.mistakes) == 1
    assert reading.settings == replace_ward(complete)


def replace_ward(settings):
    """Key and genesis are not kept: the box has them in its own files."""
    return BoxSettings(
        hostname=settings.hostname,
        ethernet=settings.ethernet,
        wifi=settings.wifi,
        ssh_keys=settings.ssh_keys,
        time_servers=settings.time_servers,
        metrics_from=settings.metrics_from,
        stratum_from=settings.stratum_from,
        node=settings.node,
    )


def test_an_editor_of_windows_may_have_saved_the_file(read, complete):
    text = COMPLETE.replace("\n", "\r\n")
    assert read(b"\xef\xbb\xbf" + text.encode()).settings == complete
    reading = read(b"\xef\xbb\xbf" + text.replace('"DE"', '"D"').encode())
    assert reading.mistakes[0].where == "edgenode.toml:10"


@pytest.mark.parametrize(
    ("content", "reason"),
    [(COMPLETE.encode("utf-16"), "not UTF-8 at byte 0; save it as UTF-8"),
     (b"#" * ((1 << 20) + 1), "more than 1048576 bytes"), (b"a = " + b"[" * 5000, "nested too")],
)  # fmt: skip
def test_a_file_that_cannot_be_read_leaves_all_as_it_was(read, complete, content, reason):
    reading = read(content, complete)
    assert reading.settings == replace_ward(complete)
    assert len(reading.mistakes) == 1
    assert reading.mistakes[0].where.startswith("edgenode.toml")
    assert reason in reading.mistakes[0].what


def test_a_card_without_the_file_leaves_all_as_it_was(tmp_path, complete):
    reading = read_box(tmp_path / "none" / "edgenode.toml", complete)
    assert reading.settings == replace_ward(complete)
    assert told(reading)[0].startswith("edgenode.toml: there is no such file")


def test_a_fifo_holds_nobody_up(tmp_path):
    os.mkfifo(tmp_path / "edgenode.toml")
    assert told(read_box(tmp_path / "edgenode.toml")) == ["edgenode.toml: is no regular file"]


# The ward


def test_key_and_genesis_lie_beside_the_file(read):
    key = f"# from the founder\n\n{WARD_KEY.hex().upper()}\n"
    settings = read("[box]\n", ward_key=key, genesis_toml=GENESIS_TEXT).settings
    assert (settings.ward_key, settings.genesis) == (WARD_KEY, GENESIS_TEXT)


def test_files_of_other_names_are_named(read):
    text = '[ward]\nkey_file = "w7.key"\ngenesis_file = "w7.toml"\n'
    reading = read(text, w7_key=WARD_KEY.hex(), w7_toml=GENESIS_TEXT)
    assert (reading.settings.ward_key, reading.settings.genesis) == (WARD_KEY, GENESIS_TEXT)
    assert (reading.mistakes, reading.right) == ((), ("ward",))


def test_a_genesis_may_be_pasted(read):
    text = (
        f"[ward]\nkey = '{WARD_KEY.hex()}'\ngenesis = '''\n{GENESIS_TEXT}'''\n[miner]\nshare = 2\n"
    )
    reading = read(text)
    assert reading.settings.genesis == GENESIS_TEXT
    line = text[: text.index("share = 2")].count("\n") + 1
    assert [mistake.where for mistake in reading.mistakes] == [f"edgenode.toml:{line}"]


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        (
            '[ward]\nkey = "00"\n',
            "edgenode.toml:2",
            "[ward] key: must be 64 hexadecimal digits; it",
        ),
        ("[ward]\nkey = 12\n", "edgenode.toml:2", "[ward] key: must be a text in quotes"),
        ('[ward]\nkey_file = "n"\n', "edgenode.toml:2", "[ward] key_file: there is no file n bes"),
        ('[ward]\nkey_file = "../k"\n', "edgenode.toml:2", "[ward] key_file: '../k' is no name of"),
        ('[ward]\nkey_file = ".."\n', "edgenode.toml:2", "[ward] key_file: '..' is no name of a f"),
        ('[ward]\nkey_file = "/etc/shadow"\n', "edgenode.toml:2", "[ward] key_file: '/etc/shadow'"),
        ('[ward]\nky = "00"\n', "edgenode.toml:2", "[ward] ky: there is no such key"),
        ('[ward]\ngenesis = "x"\n', "edgenode.toml:2", "[ward] genesis: not TOML"),
        (
            f'[ward]\nkey = "{"0" * 64}"\nkey_file = "a"\n',
            "edgenode.toml:3",
            "[ward] key_file: stands beside key; leave one of them out",
        ),
    ],
)
def test_a_mistake_in_the_ward_is_placed(read, text, where, what):
    reading = read(text)
    assert len(reading.mistakes) == 1
    assert reading.mistakes[0].where == where
    assert reading.mistakes[0].what.startswith(what)
    assert (reading.settings.ward_key, reading.settings.genesis) == (None, None)


def test_a_mistake_in_one_file_of_the_ward_leaves_the_other(read):
    reading = read("", ward_key="no key\n", genesis_toml=GENESIS_TEXT)
    assert (reading.settings.ward_key, reading.settings.genesis) == (None, GENESIS_TEXT)
    assert told(reading)[0].startswith("ward.key: is no key file; it must hold one line of 64")
    spoilt = GENESIS_TEXT.replace("[clock]", "[clock")
    reading = read("", ward_key=WARD_KEY.hex(), genesis_toml=spoilt)
    assert (reading.settings.ward_key, reading.settings.genesis) == (WARD_KEY, None)
    line = spoilt[: spoilt.index("[clock")].count("\n") + 1
    assert told(reading)[0].startswith(f"genesis.toml:{line}: not TOML")


# What no file can do


SECRETS = ("s3cret-passphrase", "12345678901234567890", "deadbeef" * 8)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("quote", ['"', "'", "“", '"""', ""])
@pytest.mark.parametrize("key", ["passphrase", "passphrse"])
def test_no_error_repeats_a_secret(read, secret, quote, key):
    text = f"[wifi]\ncountry = 'D'\nssid = 'x'\n{key} = {quote}{secret}{quote}\n"
    text += f"[ward]\nkey = {quote}{secret}!{quote}\n"
    reading = read(text, ward_key=f"{secret}?\n")
    assert reading.mistakes
    assert secret not in repr(reading)


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_read_to_the_end(folder, content):
    path = folder / "any.toml"
    path.write_bytes(content)
    reading = read_box(path)
    assert all(str(mistake).isprintable() for mistake in reading.mistakes)


@given(st.data())
def test_any_slip_of_the_pen_is_read_to_the_end(folder, data):
    position = data.draw(st.integers(0, len(COMPLETE)))
    length = data.draw(st.integers(0, 20))
    put = data.draw(st.text(st.sampled_from(list("[]\"'={}\n\\#,. x1\r\t\x00ä")), max_size=4))
    text = COMPLETE[:position] + put + COMPLETE[position + length :]
    path = folder / "slip.toml"
    path.write_bytes(text.encode())
    last_right = BoxSettings(hostname="last", ssh_keys=(KEY,))
    reading = read_box(path, last_right)
    assert all(mistake.where.startswith("slip.toml") for mistake in reading.mistakes)
    assert all(str(mistake).isprintable() for mistake in reading.mistakes)
    if position + length < COMPLETE.index("[ssh]") and not put:
        assert reading.settings.ssh_keys  # whatever was cut before it, the operator can log in
