"""docs/stratum.md gives the names, numbers and bounds of the code."""

from dataclasses import fields

import pytest

from edgenode.mining import (
    host_gate,
    pool,
    share_difficulty,
    share_ledger,
    share_pace,
    stratum_client,
    stratum_job,
    stratum_server,
    stratum_session,
    stratum_wire,
)
from edgenode.mining.payee import PayeeBook
from edgenode.mining.stratum_events import CODES, Drop
from edgenode.mining.stratum_limits import StratumLimits
from tests.docs.markdown import DOCS, tables

TEXT = (DOCS / "stratum.md").read_text(encoding="utf-8")
TABLES = {table.heading: table for table in tables(TEXT)}
LIMITS = StratumLimits()


def test_each_refusal_stands_with_its_number():
    rows = TABLES["What each refusal means"].rows
    assert [(int(row[0]), row[1].strip("`")) for row in rows] == [
        (number, str(name)) for name, number in CODES.items()
    ]


def test_each_reason_to_drop_a_miner_is_told():
    rows = TABLES["Why a miner is dropped"].rows
    assert [row[0].strip("`") for row in rows] == [str(reason) for reason in Drop]


def test_each_method_is_told():
    session = stratum_session.Session(bytes(2), LIMITS, PayeeBook(bytes(32), {}).find, bytes, 0)
    rows = TABLES["The protocol here"].rows
    assert {row[0].strip("`") for row in rows} == set(session._methods)


@pytest.mark.parametrize(
    ("sentence", "numbers"),
    [
        ("gives no job for\n{} s", [stratum_client.SILENCE_MS // 1000]),
        ("shares of the last {} rounds", [share_ledger.ROUNDS]),
        ("Of each round {} payees besides", [share_ledger.PAYEES_LIMIT]),
        ("more than the {}th part", [share_ledger.PAYEES_LIMIT + 1]),
        ("in parts of {:,}", [share_ledger.PARTS]),
        ("or more than {} s ahead of the clock", [stratum_job.NTIME_AHEAD_S]),
        ("or there are more than {} |", [stratum_session.WORKERS_LIMIT]),
        ("longer than {} bytes", [stratum_wire.REQUEST_BYTES]),
        ("after a burst of {}, or", [LIMITS.requests_burst]),
        ("more than {} connections of", [host_gate.VISITS]),
        ("one more each {} s, where", [host_gate.VISIT_EVERY_MS // 1000]),
        ("counts as {} |", [host_gate.BLAME_VISITS]),
        ("more than {} shares that", [LIMITS.bad_burst]),
        ("one more each {} s;", [LIMITS.bad_every_ms // 1000]),
        ("not let in within {} s", [LIMITS.handshake_ms // 1000]),
        ("takes longer than {} s", [LIMITS.line_ms // 1000]),
        ("or {} KiB of answers", [stratum_server.WRITE_BUFFER_BYTES // 1024]),
        ("from 2^−{} on", [-share_difficulty.EASIEST]),
        ("begins at 2^−{} and", [-share_pace.START]),
        ("the last {} of them", [stratum_session.JOBS_REMEMBERED]),
        ("or {} shares in three minutes", [stratum_session.SHARES_REMEMBERED]),
        ("[[…], extranonce1, {}]", [stratum_job.EXTRANONCE2_BYTES]),
        ("of 2^{} salts", [8 * stratum_job.SALT_BYTES]),
        ("most {} come in the minute", [LIMITS.requests_burst + 60 * LIMITS.requests_per_s]),
        ("notification of its own, `{}`: its boxes", [stratum_job.NO_WORK_METHOD]),
    ],
)
def test_a_bound_is_that_of_the_code(sentence, numbers):
    assert sentence.format(*numbers) in TEXT


def test_a_minute_is_what_it_says():
    assert pool.NO_WORK_MS == 60_000
    assert stratum_job.NTIME_AHEAD_S == 60
    assert stratum_session.JOB_MS == 180_000
    assert stratum_session.REMIND_MS == 30_000
    assert share_ledger.SPLIT_LIMIT == 10
    assert {field.name for field in fields(LIMITS)} >= {"start", "lowest"}
