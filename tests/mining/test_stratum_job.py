"""A job says the same to a miner as the work behind it, and a share says it back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgenode.ledger.header import Header
from edgenode.ledger.template import Work
from edgenode.mining.stratum_job import (
    COINBASE_PART_BYTES,
    Job,
    Submission,
    notify_params,
    submission_of,
    submit_params,
    work_of_notify,
)
from edgenode.mining.stratum_wire import Request, StratumError, decode
from tests.mining.stratum_ward import START, TextMiner, work

u32 = st.integers(0, (1 << 32) - 1)
hashes = st.binary(min_size=32, max_size=32)
works = st.builds(
    Work,
    height=st.just(0),
    version=u32,
    previous=hashes,
    coinbase_head=st.binary(max_size=50),
    coinbase_tail=st.binary(max_size=50),
    branch=st.lists(hashes, max_size=16).map(tuple),
    time=u32,
    target=u32,
)
job_ids = st.text("0123456789abcdefXYZ_-", min_size=1, max_size=64)
submissions = st.builds(
    Submission,
    worker=st.text(st.characters(categories=["L", "N", "P"]), max_size=128),
    job_id=job_ids,
    extranonce2=st.binary(min_size=3, max_size=3),
    time=u32,
    nonce=u32,
)


@given(job_ids, works, st.booleans())
def test_work_comes_back_from_its_notification(job_id, made, clean):
    params = notify_params(job_id, made, clean=clean)
    line = Request(None, "mining.notify", params).encode()
    assert work_of_notify(decode(line[:-1]).params) == (job_id, made, clean)


@given(submissions)
def test_a_share_comes_back_from_its_params(found):
    line = Request(1, "mining.submit", submit_params(found)).encode()
    assert submission_of(decode(line[:-1]).params) == found


@given(works, st.binary(min_size=2, max_size=2), st.integers(0, 255), u32)
def test_a_miner_that_knows_the_text_only_builds_the_header_that_the_node_builds(
    made, extranonce1, counter, nonce
):
    miner = TextMiner()
    miner.extranonce1 = extranonce1
    miner.job = notify_params("1", made, clean=True)
    extranonce2 = bytes([counter, 0, 0])
    header = miner.header(extranonce2, miner.job[7])
    expected = made.header(extranonce1 + extranonce2, nonce)
    assert Header.decode(header[:76] + nonce.to_bytes(4, "little")) == expected


def test_the_numbers_stand_as_bitcoins_pools_write_them():
    # Block 100000 of Bitcoin: the previous hash in Stratum's word order, the rest big-endian.
    previous = bytes.fromhex("000000000002d01c1fccc21636b607dfd930d31d01c3a62104612a1719011250")
    params = notify_params(
        "bf", work(previous=previous[::-1], version=1, target=0x1B04864C, time=0x4D1B2237),
        clean=False,
    )  # fmt: skip
    assert params[1] == "1901125004612a1701c3a621d930d31d36b607df1fccc2160002d01c00000000"
    assert params[5:] == ("00000001", "1b04864c", "4d1b2237", False)


@pytest.mark.parametrize(
    ("place", "value", "what"),
    [
        (0, "", "a job's id"),
        (0, "a" * 65, "a job's id"),
        (0, 7, "a job's id"),
        (1, "00" * 31, "prevhash"),
        (1, " " * 64, "prevhash"),
        (2, "0", "coinb1"),
        (3, "00" * (COINBASE_PART_BYTES + 1), "coinb2"),
        (3, None, "coinb2"),
        (4, "", "merkle branch"),
        (4, ("00" * 32,) * 17, "merkle branch"),
        (4, ("zz" * 32,), "the branch"),
        (5, "0x000001", "version"),
        (6, "1b04864", "nbits"),
        (7, 1_700_000_000, "ntime"),
        (8, 1, "clean_jobs"),
    ],
)
def test_a_notification_of_another_form_is_refused(place, value, what):
    params = list(notify_params("1", work(), clean=True))
    params[place] = value
    with pytest.raises(StratumError, match=what):
        work_of_notify(tuple(params))


@pytest.mark.parametrize(
    ("place", "value", "what"),
    [
        (0, 1, "a worker's name"),
        (0, "a" * 129, "a worker's name"),
        (0, "a\nb", "a worker's name"),
        (1, "a b", "a job's id"),
        (2, "00" * 8, "extranonce2"),
        (2, "000 00", "extranonce2"),
        (3, "655f1e0", "ntime"),
        (4, "-0000001", "nonce"),
        (4, "١" * 8, "nonce"),
    ],
)
def test_a_share_of_another_form_is_refused(place, value, what):
    params = list(submit_params(Submission("bob", "1", bytes(3), START, 0)))
    params[place] = value
    with pytest.raises(StratumError, match=what):
        submission_of(tuple(params))


def test_version_bits_are_refused_because_a_blocks_version_is_fixed():
    params = submit_params(Submission("bob", "1", bytes(3), START, 0))
    with pytest.raises(StratumError, match="version"):
        submission_of((*params, "1fffe000"))
    with pytest.raises(StratumError, match="5 params"):
        submission_of(params[:4])


def test_the_time_may_go_on_with_the_clock_and_a_minute_ahead():
    job = Job("w", work(time=START), since=5000)
    assert job.latest_time(5000) == START + 60
    assert job.latest_time(4000) == START + 60
    assert job.latest_time(5000 + 30_999) == START + 90
