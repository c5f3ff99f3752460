"""
Clients of AWS's services, over one session, each made when it is first used.

Making a client reads and decodes the description of its service; a session alone costs several times as much.
"""

from __future__ import annotations

from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from botocore.config import Config
from botocore.session import get_session


if TYPE_CHECKING:
    from botocore.client import BaseClient
    from botocore.session import Session

_making: Final = Lock()
"""A session is not for several threads at once, what it makes is."""


@cache
def session() -> Session:
    """Return the session of this process; it has whatever credentials the environment has."""
    return get_session()


class AwsClient:
    """A client of an AWS *service*, not made before its first operation; *options* are those of `create_client`."""

    def __init__(self, service: str, region: str, config: Config, **options: Any) -> None:
        self._service = service
        self._region = region
        self._config = config
        self._options = options
        self._client: BaseClient | None = None

    def __getattr__(self, operation: str) -> Any:
        """Return an *operation* of the client."""
        with _making:
            if self._client is None:
                self._client = session().create_client(
                    self._service, region_name=self._region, config=self._config, **self._options
                )
        return getattr(self._client, operation)


def soon_given_up(attempts: int = 2) -> Config:
    """Return the configuration of a client that makes so many *attempts* and waits little for each."""
    return Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": attempts})
