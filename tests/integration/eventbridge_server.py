"""An emulator of EventBridge, and of the queues that events go to, in a process of its own."""

from __future__ import annotations

import json
from typing import Any, Final

from tests.aws_server import AwsServer, client_of


__all__ = ["EventBridgeServer", "Listener", "client_of"]

RECEIVED_AT_ONCE: Final = 10


class EventBridgeServer(AwsServer):
    """Runs EventBridge and SQS while the context is open."""

    def __init__(self) -> None:
        super().__init__("events,sqs")


class Listener:
    """A queue that gets what is published on the bus *name* by the service."""

    def __init__(self, server: EventBridgeServer, name: str) -> None:
        events, self._queues = server.client("events"), server.client("sqs")
        events.create_event_bus(Name=name)
        self._queue = self._queues.create_queue(QueueName=name)["QueueUrl"]
        wanted = self._queues.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps({"source": ["usage-tab"]}))
        target = {"Id": "queue", "Arn": wanted["Attributes"]["QueueArn"]}
        events.put_targets(Rule=name, EventBusName=name, Targets=[target])

    def received(self) -> list[dict[str, Any]]:
        """Take all that is in the queue."""
        messages = []
        while True:
            answer = self._queues.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=RECEIVED_AT_ONCE)
            if not answer.get("Messages"):
                return messages
            messages += [json.loads(message["Body"]) for message in answer["Messages"]]
