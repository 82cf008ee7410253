"""Word of pieces: peers that pull the same object tell each other what has come of it."""

import random
from collections.abc import Iterable

from edgenode.protocol.transfer import Transfer
from edgenode.protocol.wire import HOLDINGS_LIMIT, Holding, Holdings

HOLDINGS_INTERVAL = 0.5
"""Seconds between two words about the pieces that have come."""

TOLD_AT_A_TIME = 6
"""Peers that hear of the same at a time: the others hear of it half a second later."""

TOLD_AT_FIRST = 16
"""Peers that hear of the beginning of a pull; those that pull it, too, are heard of anyway."""


class PieceNews:
    """Decides whom to tell, and when."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._farewells: list[tuple[int, Holding]] = []

    def say_farewell(self, transfer: Transfer) -> None:
        """All of an object is here: tell those that pull it, too."""
        self._farewells += [(session, _holding(transfer)) for session in transfer.news_for()]

    def due(
        self, transfers: Iterable[Transfer], sessions: list[int], now: float
    ) -> tuple[list[tuple[int, Holdings]], float | None]:
        """What to say now, and when there will be something next."""
        said: dict[int, list[Holding]] = {}
        for session, farewell in self._farewells:
            said.setdefault(session, []).append(farewell)
        self._farewells = []
        later: list[float] = []
        for transfer in transfers:
            if transfer.hashes is None:
                continue
            if transfer.announce_at > now:
                if transfer.has_news():
                    later.append(transfer.announce_at)
                continue
            for session in self._whom_to_tell(transfer, sessions):
                transfer.told[session] = transfer.held
                said.setdefault(session, []).append(_holding(transfer))
                transfer.announce_at = now + HOLDINGS_INTERVAL
        messages = [
            (session, Holdings(tuple(holdings[start : start + HOLDINGS_LIMIT])))
            for session, holdings in said.items()
            if session in sessions
            for start in range(0, len(holdings), HOLDINGS_LIMIT)
        ]
        return messages, min(later, default=None)

    def _whom_to_tell(self, transfer: Transfer, sessions: list[int]) -> list[int]:
        if transfer.told:
            news = transfer.news_for()
            return self._rng.sample(news, min(TOLD_AT_A_TIME, len(news)))
        return self._rng.sample(sessions, min(TOLD_AT_FIRST, len(sessions)))


def _holding(transfer: Transfer) -> Holding:
    return Holding(transfer.kind, transfer.id, len(transfer.copies), transfer.held)
