"""A box's settings: `edgenode.toml` on the card, read table by table (docs/flashing.md).

A mistake in one table leaves the others as they are. What is wrong keeps the value that it had
when it was last right, so that a slip of the pen does not take a box off the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from edgenode.appliance.box_file import BoxFile, FoundTable, open_box_file
from edgenode.appliance.box_tables import (
    BOX_TABLES,
    DEFAULT_HOSTNAME,
    WifiSettings,
    ethernet_in,
    firewall_in,
    hostname_in,
    time_servers_in,
    wifi_in,
)
from edgenode.appliance.host_name import Network, StaticAddress
from edgenode.appliance.mistake import Mistake, mistake_in
from edgenode.appliance.node_tables import NODE_TABLES, NodeTables, check_node_table
from edgenode.appliance.ssh_key import public_key_line
from edgenode.appliance.ward_files import WardFiles, read_ward
from edgenode.services.toml_table import ConfigError, Table

TABLES = (*BOX_TABLES, *NODE_TABLES)
"""Names of all tables that a box's file may have."""

# A department has a handful of people who look after its boxes.
_SSH_KEYS_LIMIT = 64

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class BoxSettings:
    """All that the card says about a box.

    Attributes:
        hostname: The box's name.
        ethernet: Its fixed address; None for DHCP.
        wifi: The Wi-Fi network that it joins; None for none.
        ssh_keys: Lines of authorized_keys of the operator.
        time_servers: Servers to ask for the time; none for those that DHCP names.
        metrics_from: Who may read the box's metrics over the network.
        stratum_from: Who may mine for the box over the network.
        node: The node's own tables, as they stand in the file.
        ward_key: The ward's key, 32 secret bytes; None leaves the box's as it is.
        genesis: Text of the genesis file; None leaves the box's as it is.
    """

    hostname: str = DEFAULT_HOSTNAME
    ethernet: StaticAddress | None = None
    wifi: WifiSettings | None = None
    ssh_keys: tuple[str, ...] = ()
    time_servers: tuple[str, ...] = ()
    metrics_from: tuple[Network, ...] = ()
    stratum_from: tuple[Network, ...] = ()
    node: NodeTables = field(default_factory=dict)
    ward_key: bytes | None = field(default=None, repr=False)
    genesis: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What reading a box's file gave.

    Attributes:
        settings: What is in effect: what is right, and the last right value of what is wrong.
        mistakes: What is wrong, in the order of the tables.
        tables: Names of the tables that are there, right or wrong.
        right: Names of those that are right, in the order of `TABLES`.
    """

    settings: BoxSettings
    mistakes: tuple[Mistake, ...]
    tables: frozenset[str]
    right: tuple[str, ...]


def read_box(
    path: Path, last_right: BoxSettings | None = None, scratch: Path | None = None
) -> Reading:
    """Read a box's file and what lies beside it. Mistakes are in the result, not raised.

    Args:
        path: The file.
        last_right: What was in effect before; None on a box that has no past.
        scratch: Where a directory for passing copies is made; None for the system's place.

    Raises:
        OSError: The directory for copies cannot be made or written.
    """
    with TemporaryDirectory(prefix="edgenode-box-", dir=scratch) as copies:
        return _BoxReader(path, last_right or BoxSettings(), Path(copies)).read()


class _BoxReader:
    def __init__(self, path: Path, last_right: BoxSettings, scratch: Path) -> None:
        self._path = path
        self._last_right = last_right
        self._scratch = scratch
        self._box: BoxFile = open_box_file(path, TABLES, scratch)
        self._mistakes: list[Mistake] = list(self._box.mistakes)
        self._right: set[str] = set()

    def read(self) -> Reading:
        last = self._last_right
        hostname = self._value("box", hostname_in, DEFAULT_HOSTNAME, last.hostname)
        ethernet = self._value("ethernet", ethernet_in, None, last.ethernet)
        wifi = self._value("wifi", wifi_in, None, last.wifi)
        ssh_keys = self._ssh_keys()
        time_servers = self._value("time", time_servers_in, (), last.time_servers)
        metrics_from, stratum_from = self._value(
            "firewall", firewall_in, ((), ()), (last.metrics_from, last.stratum_from)
        )
        ward = self._ward()
        settings = BoxSettings(
            hostname=hostname,
            ethernet=ethernet,
            wifi=wifi,
            ssh_keys=ssh_keys,
            time_servers=time_servers,
            metrics_from=metrics_from,
            stratum_from=stratum_from,
            node=self._node(hostname),
            ward_key=ward.key,
            genesis=ward.genesis,
        )
        return Reading(
            settings,
            mistakes=tuple(self._mistakes),
            tables=frozenset(self._box.tables) | self._box.wrong,
            right=tuple(name for name in TABLES if name in self._right),
        )

    def _value(
        self, name: str, parse: Callable[[Table], Parsed], missing: Parsed, last_right: Parsed
    ) -> Parsed:
        """What a table says, or what stands in for it."""
        if (found := self._found(name)) is None:
            return missing if self._is_left_out(name) else last_right
        try:
            table = self._table(found, name)
            value = table.build(lambda: parse(table))
        except ConfigError as error:
            self._refuse(found, error)
            return last_right
        self._right.add(name)
        return value

    def _ssh_keys(self) -> tuple[str, ...]:
        """The keys that are right; the last right ones where none of several is."""
        refused: list[str] = []

        def parse(table: Table) -> tuple[str, ...]:
            written = table.texts("keys")
            if len(written) > _SSH_KEYS_LIMIT:
                raise ValueError(f"keys: {len(written)} are more than {_SSH_KEYS_LIMIT}")
            right = []
            for number, text in enumerate(written, 1):
                try:
                    right.append(public_key_line(text))
                except ValueError as error:
                    refused.append(text)
                    self._mistakes.append(self._key_mistake(text, f"key {number} {error}"))
            return tuple(dict.fromkeys(right))

        keys = self._value("ssh", parse, (), self._last_right.ssh_keys)
        if refused:
            self._right.discard("ssh")
        return self._last_right.ssh_keys if refused and not keys else keys

    def _ward(self) -> WardFiles:
        if (found := self._found("ward")) is None and not self._is_left_out("ward"):
            return WardFiles()  # the box keeps what it has
        ward = read_ward(self._path, found, self._scratch)
        self._mistakes.extend(ward.mistakes)
        if found is not None and not ward.mistakes:
            self._right.add("ward")
        return ward

    def _node(self, hostname: str) -> NodeTables:
        tables = {}
        for name in NODE_TABLES:
            value = last_right = self._last_right.node.get(name)
            if (found := self._found(name)) is None:
                value = None if self._is_left_out(name) else last_right
            else:
                try:
                    check_node_table(found.file, name, found.values, hostname, self._scratch)
                    value = found.values
                    self._right.add(name)
                except ConfigError as error:
                    self._refuse(found, error)
            if value is not None:
                tables[name] = value
        return tables

    def _found(self, name: str) -> FoundTable | None:
        return self._box.tables.get(name)

    def _is_left_out(self, name: str) -> bool:
        """Whether the file was written without the table, as far as one can know."""
        return self._box.complete and name not in self._box.wrong

    def _table(self, found: FoundTable, name: str) -> Table:
        table = found.file.table(name, BOX_TABLES[name])
        assert table is not None
        return table

    def _refuse(self, found: FoundTable, error: ConfigError) -> None:
        self._mistakes.append(mistake_in(found.file.path, error))

    def _key_mistake(self, text: str, what: str) -> Mistake:
        file = self._box.tables["ssh"].file
        mistake = mistake_in(file.path, file.error("ssh", "keys", what))
        line = self._line_with(text)
        return replace(mistake, where=f"{self._path.name}:{line}") if line else mistake

    def _line_with(self, text: str) -> int | None:
        """The line of an entry of an array, which a TOML reader does not tell."""
        lines = self._box.text.split("\n")
        quoted = (f'"{text}"', f"'{text}'")
        return next((n for n, line in enumerate(lines, 1) if any(q in line for q in quoted)), None)
