"""At most one log line a minute about the same thing, saying how many it stands for."""

from __future__ import annotations

# A sensor whose every notification is malformed sends tens a second; a journal bounded to a few
# tens of megabytes must still show what happened yesterday.
INTERVAL_S = 60.0


class LogLimit:
    """Decides for each subject whether it may be logged now.

    The subjects come from the configuration (sensor addresses, and a few topics for each), never
    from the radio, so that nobody outside can make this grow.
    """

    def __init__(self, interval: float = INTERVAL_S) -> None:
        self._interval = interval
        self._last: dict[str, float] = {}
        self._held_back: dict[str, int] = {}

    def admit(self, subject: str, now: float) -> int | None:
        """None when the line must not be written; else how many were held back since the last."""
        last = self._last.get(subject)
        if last is not None and now - last < self._interval:
            self._held_back[subject] = self._held_back.get(subject, 0) + 1
            return None
        self._last[subject] = now
        return self._held_back.pop(subject, 0)
