"""An emulator of EventBridge, and of the queues that events go to, in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING, Any, Final, Self

import botocore.config
import botocore.session

from chalicelib.local import store_process


if TYPE_CHECKING:
    from types import TracebackType

HOST: Final = "127.0.0.1"
STOP_SECONDS_MAX: Final = 20
RECEIVED_AT_ONCE: Final = 10


class EventBridgeServer:
    """Runs the emulator that is also the embedded store, with other services, while the context is open."""

    def __init__(self) -> None:
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._scratch = tempfile.TemporaryDirectory()

    def client(self, service: str) -> Any:
        """Return a client of one of its services."""
        return client_of(service, f"http://{HOST}:{self._port}")

    def __enter__(self) -> Self:
        """Start it; the first request waits until it listens."""
        with socket.create_server((HOST, 0)) as listener:
            self._port = listener.getsockname()[1]
            self._process = subprocess.Popen(
                [sys.executable, "-P", store_process.__file__, str(listener.fileno())],
                stdin=subprocess.PIPE,
                env=os.environ | self._environment(),
                pass_fds=[listener.fileno()],
                start_new_session=True,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop it."""
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            process.wait(STOP_SECONDS_MAX)
        self._scratch.cleanup()

    def _environment(self) -> dict[str, str]:
        return {
            "AUTH": "false",
            "DOCKER_HOST": f"unix://{self._scratch.name}/no-docker.sock",
            "GATEWAY_PORT": str(self._port),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "PERSIST_STATE": "0",
            "SERVICES": "events,sqs",
            "SFTP_ENABLED": "0",
            "TMPDIR": self._scratch.name,
        }


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


def client_of(service: str, endpoint: str) -> Any:
    """Return a plain client that does not try again."""
    return botocore.session.get_session().create_client(
        service,
        region_name="eu-west-1",
        endpoint_url=endpoint,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30),
    )
