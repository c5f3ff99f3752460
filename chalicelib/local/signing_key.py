"""
The key that signs this user's tokens for the local server.

It is made once for each user and kept in a file that only the user can read, so that tokens survive a restart
of the server and `usage-tab token` needs no running one.
"""

from __future__ import annotations

import os
import tempfile
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm


if TYPE_CHECKING:
    from collections.abc import Iterable

FILE_NAME: Final = "signing-key.pem"
ALGORITHM: Final = "ES256"
LIFETIME: Final = timedelta(hours=12)

ALL_SCOPES: Final = ("usage:read", "credits:write", "events:write", "admin")
"""What a token can allow."""


class SigningKeyError(RuntimeError):
    """The key file cannot be used; the message names it."""


def home() -> Path:
    """Return the user's folder for this program's files: `USAGE_TAB_HOME`, else where such files belong."""
    own = os.environ.get("USAGE_TAB_HOME")
    if own:
        return Path(own)
    shared = os.environ.get("XDG_DATA_HOME")
    return (Path(shared) if shared else Path.home() / ".local" / "share") / "usage-tab"


class SigningKey:
    """An ES256 key that signs tokens and shows its public half as a key set."""

    def __init__(self, private_key: ec.EllipticCurvePrivateKey) -> None:
        self._private_key = private_key

    @classmethod
    def load_or_create(cls, folder: Path | None = None) -> SigningKey:
        """
        Read the key of *folder*, by default `home()`; make it if there is none.

        Processes that make it at the same time end up with the same key.

        Raises:
            SigningKeyError: if the file holds something else, or cannot be read or written.
        """
        path = (home() if folder is None else folder) / FILE_NAME
        try:
            if not path.exists():
                _create(path)
            key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        except OSError as error:
            message = f"{path} cannot be used: {error.strerror}"
            raise SigningKeyError(message) from error
        except (ValueError, TypeError) as error:
            message = f"{path} holds no key; remove it to have a new one made"
            raise SigningKeyError(message) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
            message = f"{path} holds a key of another kind; remove it to have a new one made"
            raise SigningKeyError(message)
        return cls(key)

    @cached_property
    def key_id(self) -> str:
        """The key's name in the key set, derived from the key itself."""
        public = self._private_key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        digest = hashes.Hash(hashes.SHA256())
        digest.update(public)
        return digest.finalize().hex()[:16]

    def jwks(self) -> dict[str, Any]:
        """Return the key set that its tokens are checked with."""
        public = ECAlgorithm.to_jwk(self._private_key.public_key(), as_dict=True)
        return {"keys": [{**public, "kid": self.key_id, "alg": ALGORITHM, "use": "sig"}]}

    def issue_token(
        self,
        scopes: Iterable[str],
        *,
        account_id: str | None = None,
        subject: str = "local",
        lifetime: timedelta = LIFETIME,
        **claims: Any,
    ) -> str:
        """Sign a token for *scopes*; with an *account_id* it reaches that account alone."""
        now = datetime.now(UTC)
        claims |= {
            "sub": subject,
            "scope": " ".join(scopes),
            "iat": now,
            "exp": now + lifetime,
            "jti": uuid.uuid4().hex,
        }
        if account_id is not None:
            claims["account_id"] = account_id
        return jwt.encode(claims, self._private_key, algorithm=ALGORITHM, headers={"kid": self.key_id})


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # Complete before it has its name, and the first to take the name wins. The file is made with mode 0600.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as draft:
        draft.write(pem)
        draft.flush()
        os.fsync(draft.fileno())
        with suppress(FileExistsError):
            os.link(draft.name, path)
