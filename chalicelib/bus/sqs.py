"""Work on Amazon SQS."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.bus.sqs_text import attribute
from chalicelib.bus.work_queue import QueueUnavailableError, Work


if TYPE_CHECKING:
    from collections.abc import Iterable

ENTRIES_MAX: Final = 10
"""Messages that one SendMessageBatch takes."""

REASON_CHARACTERS_MAX: Final = 500


class SqsWorkQueue:
    """The queue at *url* and its dead letters at *dead_letters_url*, through a botocore client of `sqs`."""

    def __init__(self, client: Any, url: str, dead_letters_url: str) -> None:
        """Send through *client*."""
        self._client = client
        self._url = url
        self._dead_letters_url = dead_letters_url

    def send(self, work: Iterable[Work]) -> int:
        """Send *work*, ten messages a call."""
        waiting = iter(work)
        sent = 0
        while batch := list(islice(waiting, ENTRIES_MAX)):
            entries = [
                {"Id": str(place), "MessageBody": msgspec.json.encode(item).decode()}
                for place, item in enumerate(batch)
            ]
            try:
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            except (BotoCoreError, ClientError) as error:
                raise QueueUnavailableError(str(error)) from error
            if answer.get("Failed"):
                codes = sorted({entry["Code"] for entry in answer["Failed"]})
                message = f"{len(answer['Failed'])} messages were not taken: {', '.join(codes)}"
                raise QueueUnavailableError(message)
            sent += len(batch)
        return sent

    def bury(self, body: str, reason: str) -> None:
        """Send a message to the dead letters; the reason is an attribute of it."""
        attributes = {"Reason": attribute(reason[:REASON_CHARACTERS_MAX])}
        try:
            self._client.send_message(QueueUrl=self._dead_letters_url, MessageBody=body, MessageAttributes=attributes)
        except (BotoCoreError, ClientError) as error:
            raise QueueUnavailableError(str(error)) from error
