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
    """Not above the median of the last eleven blocks' times."""
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
    COINBASE_HEIGHT = "coinbase_height"
    COINBASE_REWARD = "coinbase_reward"
    """Not the subsidy plus the block's fees."""
    COINBASE_MODELS = "coinbase_models"
    """The number of models, or a round, update count or example count, is wrong."""
    AGGREGATE_ROOT = "aggregate_root"
    """The committed parameters are not those that the updates give."""
    UPDATE_COUNT = "update_count"
    TRANSFER_COUNT = "transfer_count"

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


class Rejected(Exception):  # noqa: N818  (a verdict, named as the protocol names it)
    """A header, block or transaction violates a rule."""

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail
