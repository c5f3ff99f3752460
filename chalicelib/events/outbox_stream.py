"""What the table's stream brings: effects of commits, to be carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chalicelib.observability import Metric, count, log_keys, logger
from chalicelib.storage import keys
from chalicelib.storage.items import Key


if TYPE_CHECKING:
    from chalicelib.services.container import Services


def carry_out(services: Services, event: dict[str, Any]) -> dict[str, Any]:
    """
    Carry out the effects that a batch of stream records speaks of, and return those that are to be delivered again.

    The legs of a transaction arrive apart: effects that are not to be seen yet, or speak of what is not, are retried.
    """
    failed = [record["dynamodb"]["SequenceNumber"] for record in event["Records"] if not _is_done(services, record)]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _is_done(services: Services, record: dict[str, Any]) -> bool:
    key = Key(*(record["dynamodb"]["Keys"][name]["S"] for name in ("pk", "sk")))
    if record["eventName"] != "INSERT" or not keys.is_outbox(key):
        return True
    account, effects = keys.account_of(key), keys.name_of(key)
    with log_keys(account=account):
        try:
            services.effects.carry_out(account, effects)
        except Exception:  # noqa: BLE001 - one record's failure must not stop the others
            logger().exception("effects %s of account %s failed", effects, account)
            count(Metric.EFFECTS_FAILED)
            return False
    count(Metric.EFFECTS_DONE)
    return True
