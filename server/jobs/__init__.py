"""The job table, claiming and the loop; beneath the areas, like `db.py`. Each area's `jobs.py` holds its HANDLERS."""

from server.jobs.context import Handler, Handlers, JobContext, JobFailed, OrElse
from server.jobs.queue import cancel, enqueue, enqueue_each, load_job, reschedule

__all__ = [
    "Handler",
    "Handlers",
    "JobContext",
    "JobFailed",
    "OrElse",
    "cancel",
    "enqueue",
    "enqueue_each",
    "load_job",
    "reschedule",
]
