"""The key that signs a user's tokens."""

from __future__ import annotations

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from chalicelib.api.tokens import Caller, KeySource, TokenVerifier
from chalicelib.local.signing_key import FILE_NAME, SigningKey, SigningKeyError, home


def test_made_once(tmp_path: Path) -> None:
    """The key is made the first time, and read from then on."""
    assert SigningKey.load_or_create(tmp_path).jwks() == SigningKey.load_or_create(tmp_path).jwks()


def test_only_the_user_reads_it(tmp_path: Path) -> None:
    """Neither the file nor its folder is open to others, and no draft stays behind."""
    folder = tmp_path / "usage-tab"
    SigningKey.load_or_create(folder)

    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]


def test_made_by_several(tmp_path: Path) -> None:
    """Those who make the key at the same time have the same one."""
    barrier = threading.Barrier(8)

    def make(_: int) -> str:
        barrier.wait(10)
        return SigningKey.load_or_create(tmp_path).key_id

    with ThreadPoolExecutor(8) as pool:
        key_ids = set(pool.map(make, range(8)))

    assert key_ids == {SigningKey.load_or_create(tmp_path).key_id}


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"USAGE_TAB_HOME": "/own", "XDG_DATA_HOME": "/data", "HOME": "/home/me"}, "/own"),
        ({"XDG_DATA_HOME": "/data", "HOME": "/home/me"}, "/data/usage-tab"),
        ({"HOME": "/home/me"}, "/home/me/.local/share/usage-tab"),
    ],
)
def test_home(environ: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is the one that the user has set, or where such files belong."""
    for name in ("USAGE_TAB_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    assert home() == Path(folder)


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder given, the key is in the user's."""
    monkeypatch.setenv("USAGE_TAB_HOME", str(tmp_path))

    assert SigningKey.load_or_create().key_id == SigningKey.load_or_create(tmp_path).key_id


def test_shows_no_secret(tmp_path: Path) -> None:
    """The key set holds the public half alone."""
    (key,) = SigningKey.load_or_create(tmp_path).jwks()["keys"]

    assert key.keys() == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no key"),
        (b"-----BEGIN PRIVATE KEY-----", "holds no key"),
        (_pem(ed25519.Ed25519PrivateKey.generate()), "another kind"),
        (_pem(ec.generate_private_key(ec.SECP384R1())), "another kind"),
    ],
)
def test_other_content(tmp_path: Path, content: bytes, problem: str) -> None:
    """A file that holds something else is named, and left as it is."""
    path = tmp_path / FILE_NAME
    path.write_bytes(content)

    with pytest.raises(SigningKeyError, match=rf"{FILE_NAME} .*{problem}"):
        SigningKey.load_or_create(tmp_path)
    assert path.read_bytes() == content


def test_folder_that_is_a_file(tmp_path: Path) -> None:
    """A folder that cannot be used is named."""
    (tmp_path / "file").touch()

    with pytest.raises(SigningKeyError, match=r"file/signing-key\.pem cannot be used"):
        SigningKey.load_or_create(tmp_path / "file")


def test_token(tmp_path: Path) -> None:
    """A token says what its caller may do, and passes the check against the key's own key set."""
    key = SigningKey.load_or_create(tmp_path)
    verifier = TokenVerifier(KeySource.from_jwks(key.jwks()))

    assert verifier.verify(key.issue_token(["usage:read", "events:write"])) == Caller(
        subject="local", scopes=frozenset({"usage:read", "events:write"}), account_id=None
    )
    assert verifier.verify(key.issue_token([], account_id="acme", subject="ann")) == Caller(
        subject="ann", scopes=frozenset(), account_id="acme"
    )
