"""What the work queue brings: one subject of a job in every message, each retried by itself."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chalicelib.bus.work_queue import Work
from chalicelib.observability import log_keys, logger
from chalicelib.services.errors import RefusedError
from chalicelib.services.run_jobs import describe
from chalicelib.storage.items import StoreError


if TYPE_CHECKING:
    from chalicelib.services.container import Services

TRIES_MAX: Final = 5
"""Deliveries of a message before it is put among the dead letters with its reason."""


def do_work(services: Services, event: dict[str, Any]) -> dict[str, Any]:
    """Do the work of a batch of messages, and return those that are to be delivered again."""
    failed = [record["messageId"] for record in event["Records"] if not _is_dealt_with(services, record)]
    return {"batchItemFailures": [{"itemIdentifier": message} for message in failed]}


def _is_dealt_with(services: Services, record: dict[str, Any]) -> bool:
    """Do the work of a message; one that fails for good is dealt with once it lies among the dead letters."""
    body = record["body"]
    try:
        work = msgspec.json.decode(body, type=Work)
    except msgspec.DecodeError as error:
        return _bury(services, body, describe(error))
    with log_keys(job=work.job, account=work.subject.partition("/")[0]):
        return _is_done(services, work, record)


def _is_done(services: Services, work: Work, record: dict[str, Any]) -> bool:
    try:
        services.jobs.work(work)
    except Exception as error:  # noqa: BLE001 - one message's failure must not stop the others
        logger().exception("job %s failed for %s", work.job, work.subject)
        is_last = int(record["attributes"]["ApproximateReceiveCount"]) >= TRIES_MAX
        if not (is_last or isinstance(error, RefusedError)) or not _bury(services, record["body"], describe(error)):
            return False
        with suppress(StoreError):  # the heartbeat is a summary; the dead letter is what counts
            services.jobs.give_up(work, describe(error))
        return True
    return True


def _bury(services: Services, body: str, reason: str) -> bool:
    if services.work_queue is None:
        return False
    try:
        services.work_queue.bury(body, reason)
    except Exception:  # noqa: BLE001 - the queue delivers it again
        logger().exception("a dead letter could not be sent")
        return False
    return True
