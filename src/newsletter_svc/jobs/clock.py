"""The clock: Celery's beat, which hints at what is due by the time of day. One runs for all machines."""

from celery import Celery, signals
from celery.schedules import crontab

from newsletter_svc import logs
from newsletter_svc.jobs.celery_app import HINT_SECONDS, Task
from newsletter_svc.jobs.hints import Hints

TICK_SECONDS = 60.0
_AT_NIGHT = crontab(hour="3", minute="17")


def run_clock(celery: Celery, *, lease_seconds: int) -> None:
    """Tick until SIGTERM or Ctrl-C."""
    celery.conf.beat_schedule = {
        # What a dead worker held is free when its lease is over, and no hint leads there.
        "sweep": _entry(Task.SWEEP, min(TICK_SECONDS, float(lease_seconds))),
        "run-due": _entry(Task.RUN_DUE, TICK_SECONDS),
        "purge": _entry(Task.PURGE, _AT_NIGHT),
    }
    signals.beat_init.connect(lambda **_: _begin(Hints(celery)), weak=False)
    signals.setup_logging.connect(lambda **_: logs.configure_libraries(), weak=False)
    # It remembers nothing on a disk: what a clock that stood still has missed, the next tick asks for.
    celery.Beat(scheduler="celery.beat:Scheduler", quiet=True).run()


def _begin(hints: Hints) -> None:
    """Do not wait for the first tick."""
    for task in (Task.RUN_DUE, Task.SWEEP):
        hints.send(task)


def _entry(task: Task, schedule: float | crontab) -> dict[str, object]:
    return {"task": task.value, "schedule": schedule, "options": {"expires": HINT_SECONDS}}
