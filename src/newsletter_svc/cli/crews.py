"""What commands know of a crew of senders: what each does, how many there are, and how long their end may take."""

import threading
from math import ceil

from newsletter_svc.delivery.models import Lane
from newsletter_svc.jobs.crew import Work
from newsletter_svc.jobs.threads import send_until
from newsletter_svc.parts import Parts

STOP_SECONDS = 25.0
"""What is in flight may take so long to end: less than gunicorn grants its workers."""
WORTH_HELP = 2_000
"""So many more readers are worth one more sender: with fewer it comes too late to be of much help."""


def work_of(parts: Parts) -> Work:
    """What a sender of these parts does."""

    def work(lane: Lane, told: threading.Event) -> bool:
        return send_until(told, parts.sender, parts.bulk, lane=lane, stop_seconds=STOP_SECONDS)

    return work


def senders_for(readers: int, *, most: int) -> int:
    """How many send a digest to so many readers."""
    return max(1, min(most, ceil(readers / WORTH_HELP)))
