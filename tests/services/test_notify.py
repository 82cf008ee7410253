"""systemd is told only when it asked, and a missing library is said aloud, once it matters."""

import logging

import pytest

from edgenode.services import notify


@pytest.fixture
def sent(monkeypatch):
    messages = []
    monkeypatch.setattr(notify, "_send", messages.append)
    return messages


def test_nothing_is_sent_where_no_systemd_listens(sent, monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.ready()
    notify.alive()
    assert sent == []


def test_the_messages_are_systemds(sent, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    notify.starting()
    notify.ready()
    notify.alive()
    notify.stopping()
    assert sent == ["EXTEND_TIMEOUT_USEC=900000000", "READY=1", "WATCHDOG=1", "STOPPING=1"]


def test_a_missing_library_is_said_when_systemd_waits(monkeypatch, caplog):
    monkeypatch.setattr(notify, "_send", None)
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    with caplog.at_level(logging.WARNING):
        notify.ready()
        notify.alive()
    assert [record.message for record in caplog.records] == [
        "systemd waits for messages (Type=notify), but python3-systemd is not installed"
    ]
