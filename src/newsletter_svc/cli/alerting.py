"""Alerts as commands show them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from newsletter_svc.alerts import EXPLANATIONS, Current


def sentence(alert: Current) -> str:
    """`ALERT sender_refused: 12 x since 2026-11-24 05:37 UTC. The mail server ...`."""
    said = EXPLANATIONS[alert.cause]
    since = f"{alert.first_at:%Y-%m-%d %H:%M} UTC"
    return f"ALERT {alert.cause}: {alert.count} x since {since}. {said.title}. {said.text}"


def as_json(alerts: Sequence[Current]) -> list[dict[str, Any]]:
    return [
        {**asdict(each), "first_at": each.first_at.isoformat(), "last_at": each.last_at.isoformat()} for each in alerts
    ]
