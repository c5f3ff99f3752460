"""What surrounds a deployed function: its environment, the secret and the key set it reads, and a request."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self

from chalicelib.local.signing_key import SigningKey
from tests.stores import HOST


if TYPE_CHECKING:
    from pathlib import Path

STATE_TABLE: Final = "measured-state"
PAGES_TABLE: Final = "measured-pages"
_QUEUES: Final = "https://sqs.eu-west-1.amazonaws.com/123456789012"


class Surroundings(ThreadingHTTPServer):
    """Serves the secret of a stage and the key set that it names, while the context is open."""

    daemon_threads = True

    def __init__(self, folder: Path, store: str) -> None:
        """Keep the key that signs tokens in *folder*; *store* is the URL of DynamoDB."""
        super().__init__((HOST, 0), _Handler)
        self._key = SigningKey.load_or_create(folder)
        self._store = store

    @property
    def documents(self) -> dict[str, object]:
        """Return what is served, by path."""
        secret = {"USAGE_TAB_JWKS_URL": f"http://{HOST}:{self.server_port}/jwks.json"}
        return {"/": {"Name": "measured", "SecretString": json.dumps(secret)}, "/jwks.json": self._key.jwks()}

    @property
    def environment(self) -> dict[str, str]:
        """Return what the template gives to the function behind the API, and where the services are."""
        return {
            "AWS_ENDPOINT_URL_DYNAMODB": self._store,
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{HOST}:{self.server_port}",
            "USAGE_TAB_STAGE": "dev",
            "USAGE_TAB_STATE_TABLE": STATE_TABLE,
            "USAGE_TAB_PAGES_TABLE": PAGES_TABLE,
            "USAGE_TAB_EVENT_BUS": "measured",
            "USAGE_TAB_WORK_QUEUE": f"{_QUEUES}/work",
            "USAGE_TAB_DEAD_LETTERS": f"{_QUEUES}/dead-letters",
            "USAGE_TAB_EVENT_DEAD_LETTERS": f"{_QUEUES}/event-dead-letters",
            "USAGE_TAB_METERING_DEAD_LETTERS": f"{_QUEUES}/metering-dead-letters",
            "USAGE_TAB_REPORT_QUEUE": f"{_QUEUES}/reports",
            "USAGE_TAB_REPORT_BUCKET": "measured",
            "USAGE_TAB_TEST_CLOCK": "false",
            "USAGE_TAB_RETENTION_MONTHS": "25",
            "USAGE_TAB_LOG_LEVEL": "INFO",
            "USAGE_TAB_PAYMENT_GATEWAY": "sandbox",
            "USAGE_TAB_SECRET": "measured",
        }

    def request(self, method: str, resource: str, account: str | None = None, body: str | None = None) -> Any:
        """Return what API Gateway calls the function with, for a *resource* such as `/v1/accounts/{account}/usage`."""
        path = resource.format(account=account)
        token = self._key.issue_token(["usage:read", "events:write", "credits:write", "admin"])
        headers = {"Host": "example.execute-api.eu-west-1.amazonaws.com", "Authorization": f"Bearer {token}"}
        return {
            "resource": resource,
            "path": path,
            "httpMethod": method,
            "headers": headers,
            "multiValueHeaders": {name: [value] for name, value in headers.items()},
            "queryStringParameters": None,
            "multiValueQueryStringParameters": None,
            "pathParameters": None if account is None else {"account": account},
            "stageVariables": None,
            "requestContext": {
                "httpMethod": method,
                "resourcePath": resource,
                "path": f"/api{path}",
                "stage": "api",
                "requestId": "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
                "identity": {"sourceIp": "192.0.2.1"},
            },
            "body": body,
            "isBase64Encoded": False,
        }

    def __enter__(self) -> Self:
        """Listen."""
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Surroundings

    def do_GET(self) -> None:
        body = json.dumps(self.server.documents[self.path]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""
