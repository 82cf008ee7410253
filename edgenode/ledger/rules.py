"""The names of the ledger's rules.

A rule's name is the same in the code, in a rejection, in the metric's label and in the test.
"""

from enum import StrEnum


class Rule(StrEnum):
    """What a header, block or transaction can violate; each value ends a sentence "refused by"."""

    # Form
    MALFORMED = "malformed"
    """The bytes do not parse."""

    # Header, in the context of its ancestors
    HEADER_VERSION = "header_version"
    TARGET_FORM = "target_form"
    """The compact target is not canonical, is zero, or is above the genesis limit."""
    TARGET_VALUE = "target_value"
    """The target is not the one that the difficulty rule gives."""
    PROOF_OF_WORK = "proof_of_work"
    TIME_TOO_OLD = "time_too_old"
    """Not above the median of the last eleven blocks' times, or too far below the parent's."""
    TIME_TOO_NEW = "time_too_new"
    """Too far ahead of this node's clock. Not for ever: the block may be valid later."""
    PARENT_INVALID = "parent_invalid"

    # Block
    MERKLE_ROOT = "merkle_root"
    MERKLE_MUTATED = "merkle_mutated"
    COINBASE_MISSING = "coinbase_missing"
    COINBASE_TWICE = "coinbase_twice"
    BLOCK_MEMBER = "block_member"
    """The coinbase's miner is not a member."""
    BLOCK_SIGNATURE = "block_signature"
    BLOCK_SHARE = "block_share"
    """The miner has made its share of the last blocks already, and left no pause."""
    COINBASE_HEIGHT = "coinbase_height"
    COINBASE_PAYOUTS = "coinbase_payouts"
    """A payout of nothing, to what is no public key, two to one key, or less than opens an
    account."""
    COINBASE_REWARD = "coinbase_reward"
    """Not the subsidy and the block's fees, less the contributors' part."""
    COINBASE_MODELS = "coinbase_models"
    """The number of models, or a round, update count or example count, is wrong."""
    AGGREGATE_ROOT = "aggregate_root"
    """The committed parameters are not those that the updates give."""
    STATE_ROOT = "state_root"
    """The committed state is not the parent's."""
    UPDATE_COUNT = "update_count"
    TRANSFER_COUNT = "transfer_count"
    CHANGE_COUNT = "change_count"
    """Too many enrolments and revocations."""
    ENDORSEMENT_COUNT = "endorsement_count"
    BELOW_FINAL = "below_final"
    """It does not build on the last final block."""

    # Update
    UPDATE_MODEL = "update_model"
    UPDATE_MEMBER = "update_member"
    UPDATE_SIGNATURE = "update_signature"
    UPDATE_EXAMPLES = "update_examples"
    """No example, or more than the cap."""
    UPDATE_BASE_UNKNOWN = "update_base_unknown"
    """The base is not an ancestor of the block."""
    UPDATE_BASE_STALE = "update_base_stale"
    """The base is too many blocks back."""
    UPDATE_REPEATED = "update_repeated"
    """The member's update on this base is already counted."""
    PAYLOAD_LENGTH = "payload_length"
    PAYLOAD_HASH = "payload_hash"
    PAYLOAD_CODING = "payload_coding"

    # Transfer
    TRANSFER_SIGNATURE = "transfer_signature"
    TRANSFER_RECIPIENT = "transfer_recipient"
    TRANSFER_AMOUNT = "transfer_amount"
    TRANSFER_SEQUENCE = "transfer_sequence"
    TRANSFER_BALANCE = "transfer_balance"
    TRANSFER_RESERVE = "transfer_reserve"
    """It leaves or opens an account of no member with less than a block's subsidy."""

    # Enrolment and revocation
    AUTHORITY_UNKNOWN = "authority_unknown"
    """Not signed by authorities of genesis in their order, each once."""
    AUTHORITY_QUORUM = "authority_quorum"
    AUTHORITY_SIGNATURE = "authority_signature"
    AUTHORITY_SEQUENCE = "authority_sequence"
    """Not the number of changes so far."""
    AUTHORITY_PACE = "authority_pace"
    """Too many changes wait to become final."""
    ENROLMENT_KEY = "enrolment_key"
    """No public key, or a member's."""
    ENROLMENT_NAME = "enrolment_name"
    ENROLMENT_COUNT = "enrolment_count"
    REVOCATION_MEMBER = "revocation_member"
    """Of no member, or of the last one."""

    # Endorsement
    ENDORSEMENT_SIGNATURE = "endorsement_signature"
    ENDORSEMENT_TARGET = "endorsement_target"
    """Not one of the last checkpoints of this chain."""
    ENDORSEMENT_SOURCE = "endorsement_source"
    """Not justified in this chain."""
    ENDORSEMENT_MEMBER = "endorsement_member"
    """By somebody who was no member at the last final block."""
    ENDORSEMENT_REPEATED = "endorsement_repeated"
    """The member's endorsement of a block of this height is counted."""


class Rejected(Exception):  # noqa: N818  (a verdict, named as the protocol names it)
    """A header, block or transaction violates a rule."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
