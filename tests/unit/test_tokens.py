"""Which tokens are trusted."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.api.tokens import (
    Caller,
    KeySource,
    KeysUnavailable,
    TokenVerifier,
    Unauthenticated,
    bearer_token,
)
from chalicelib.settings import Settings, SettingsError


if TYPE_CHECKING:
    from pathlib import Path

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def ec_key(name: str = "ec", curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """Give the elliptic-curve key of that name."""
    del name
    return ec.generate_private_key(curve or ec.SECP256R1())


@cache
def rsa_key(bits: int = 2_048) -> rsa.RSAPrivateKey:
    """Give the RSA key of that length."""
    return rsa.generate_private_key(65_537, bits)


def jwk(key: Key, **members: Any) -> dict[str, Any]:
    """Describe the public half of a key for a key set."""
    public = key.public_key()
    if isinstance(public, rsa.RSAPublicKey):
        document = jwt.algorithms.RSAAlgorithm.to_jwk(public, as_dict=True)
    else:
        document = jwt.algorithms.ECAlgorithm.to_jwk(public, as_dict=True)
    return {name: value for name, value in {**document, **members}.items() if value is not None}


def jwks(*keys: dict[str, Any]) -> dict[str, Any]:
    """Make a key set."""
    return {"keys": list(keys)}


KEY_SET = jwks(jwk(ec_key(), kid="ec"), jwk(rsa_key(), kid="rsa", alg="RS256", use="sig"))


def claims(**changes: Any) -> dict[str, Any]:
    """Give the claims of a good token with *changes*; None leaves one out."""
    good = {
        "sub": "ann",
        "scope": "usage:read credits:write",
        "exp": datetime.now(UTC) + timedelta(minutes=5),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(
    document: dict[str, Any] | None = None,
    key: Key | None = None,
    algorithm: str = "ES256",
    kid: str | None = "ec",
) -> str:
    """Sign a token."""
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims() if document is None else document, key or ec_key(), algorithm, headers)


def encoded(document: Any) -> str:
    """Encode a part of a token by hand."""
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def signed(header: Any, payload: Any) -> str:
    """Sign whatever header and payload with the good key."""
    signing_input = f"{encoded(header)}.{encoded(payload)}"
    signature = jwt.get_algorithm_by_name("ES256").sign(signing_input.encode(), ec_key())
    return f"{signing_input}.{encoded(signature)}"


@pytest.fixture
def verifier() -> TokenVerifier:
    """Give a verifier that knows one key of each kind."""
    return TokenVerifier(KeySource.from_jwks(KEY_SET))


class TestTrusted:
    """Tokens that are taken."""

    def test_ec(self, verifier: TokenVerifier) -> None:
        """A token signed with ES256 tells its caller."""
        assert verifier.verify(token()) == Caller(
            subject="ann", scopes=frozenset({"usage:read", "credits:write"}), account_id=None
        )

    def test_rsa(self, verifier: TokenVerifier) -> None:
        """A token signed with RS256 does as well."""
        assert verifier.verify(token(key=rsa_key(), algorithm="RS256", kid="rsa")).subject == "ann"

    def test_account(self, verifier: TokenVerifier) -> None:
        """A customer's user is bound to an account."""
        assert verifier.verify(token(claims(account_id="acme"))).account_id == "acme"

    def test_without_scope(self, verifier: TokenVerifier) -> None:
        """A token without scope may do nothing, but is a token."""
        assert verifier.verify(token(claims(scope=None))).scopes == frozenset()

    def test_without_subject(self, verifier: TokenVerifier) -> None:
        """A token need not name a subject."""
        assert verifier.verify(token(claims(sub=None))).subject == "unknown"

    def test_without_key_id(self, verifier: TokenVerifier) -> None:
        """Without a key id the only key of the algorithm is meant."""
        assert verifier.verify(token(kid=None)).subject == "ann"

    def test_clocks_apart(self, verifier: TokenVerifier) -> None:
        """Clocks may be half a minute apart."""
        now = datetime.now(UTC)
        just = claims(exp=now - timedelta(seconds=15), nbf=now + timedelta(seconds=15), iat=now + timedelta(seconds=15))

        assert verifier.verify(token(just)).subject == "ann"

    def test_issuer_and_audience(self) -> None:
        """Where an issuer and an audience are set, a token that names them is taken."""
        verifier = TokenVerifier(KeySource.from_jwks(KEY_SET), issuer="me", audience="usage")

        assert verifier.verify(token(claims(iss="me", aud=["other", "usage"]))).subject == "ann"

    def test_audience_that_nobody_asked_for(self, verifier: TokenVerifier) -> None:
        """Where none are set, a token may name any."""
        assert verifier.verify(token(claims(iss="x", aud="y"))).subject == "ann"

    @pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "  BEARER   {} "])
    def test_header(self, verifier: TokenVerifier, header: str) -> None:
        """The token is taken from the Authorization header."""
        assert verifier.authenticate(header.format(token())).subject == "ann"


class TestRefused:
    """Tokens that are not."""

    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token abc"])
    def test_header(self, header: str | None) -> None:
        """Without a bearer token there is no caller."""
        with pytest.raises(Unauthenticated):
            bearer_token(header)

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"exp": None}, "no claim exp"),
            ({"exp": datetime.now(UTC) - timedelta(seconds=31)}, "expired"),
            ({"exp": "soon"}, "malformed"),
            ({"exp": "99999999999"}, "exp must be a number"),
            ({"exp": [1]}, "malformed"),
            ({"exp": {}}, "malformed"),
            ({"exp": True}, "expired"),
            ({"exp": float("inf")}, "malformed"),
            ({"exp": float("nan")}, "malformed"),
            ({"nbf": datetime.now(UTC) + timedelta(days=1)}, "not valid yet"),
            ({"iat": datetime.now(UTC) + timedelta(days=1)}, "not valid yet"),
            ({"iat": "x"}, "malformed"),
            ({"account_id": 7}, "account_id must be a string"),
            ({"account_id": ""}, "account_id must be a string"),
            ({"account_id": ["acme"]}, "account_id must be a string"),
            ({"account_id": False}, "account_id must be a string"),
            ({"scope": ["admin"]}, "scope must be a string"),
            ({"scope": 1}, "scope must be a string"),
            ({"sub": 7}, "malformed"),
        ],
    )
    def test_claims(self, verifier: TokenVerifier, changes: dict[str, Any], detail: str) -> None:
        """A well-signed token with claims that do not hold is refused."""
        document = {
            name: value.timestamp() if isinstance(value, datetime) else value
            for name, value in claims(**changes).items()
        }

        with pytest.raises(Unauthenticated, match=detail):
            verifier.verify(signed({"alg": "ES256", "kid": "ec"}, document))

    def test_account_that_is_null(self, verifier: TokenVerifier) -> None:
        """An account that is null is no leave to reach every account."""
        document = {"exp": 4_102_444_800, "account_id": None}

        with pytest.raises(Unauthenticated, match="account_id must be a string"):
            verifier.verify(signed({"alg": "ES256", "kid": "ec"}, document))

    @pytest.mark.parametrize(
        ("changes", "detail"),
        [
            ({"iss": "you", "aud": "usage"}, "another issuer"),
            ({"iss": 1, "aud": "usage"}, "another issuer"),
            ({"iss": None, "aud": "usage"}, "no claim iss"),
            ({"iss": "me", "aud": "else"}, "another audience"),
            ({"iss": "me", "aud": [1]}, "another audience"),
            ({"iss": "me", "aud": None}, "no claim aud"),
        ],
    )
    def test_issuer_and_audience(self, changes: dict[str, Any], detail: str) -> None:
        """Where an issuer and an audience are set, a token must name them."""
        verifier = TokenVerifier(KeySource.from_jwks(KEY_SET), issuer="me", audience="usage")
        document = claims(**changes, exp=4_102_444_800)

        with pytest.raises(Unauthenticated, match=detail):
            verifier.verify(signed({"alg": "ES256", "kid": "ec"}, document))

    def test_not_signed(self, verifier: TokenVerifier) -> None:
        """A token that claims to need no signature is refused."""
        with pytest.raises(Unauthenticated, match="signed with RS256 or ES256"):
            verifier.verify(jwt.encode(claims(), None, algorithm="none", headers={"kid": "ec"}))

    @pytest.mark.parametrize(
        "algorithm", ["none", "None", "NONE", "HS256", "ES384", "RS512", "PS256", "", 1, ["ES256"]]
    )
    def test_algorithm(self, verifier: TokenVerifier, algorithm: Any) -> None:
        """No other algorithm is accepted, whatever its name."""
        with pytest.raises(Unauthenticated, match="signed with RS256 or ES256"):
            verifier.verify(signed({"alg": algorithm, "kid": "ec"}, {"exp": 4_102_444_800}))

    @pytest.mark.parametrize("key", [ec_key(), rsa_key()])
    @pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
    def test_public_key_as_a_secret(self, verifier: TokenVerifier, key: Key, algorithm: str) -> None:
        """The public key is no secret to sign with."""
        secret = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        for kid in ("ec", "rsa"):
            signing_input = f"{encoded({'alg': algorithm, 'kid': kid})}.{encoded({'exp': 4_102_444_800})}"
            signature = hmac.digest(secret, signing_input.encode(), "sha256")

            with pytest.raises(Unauthenticated):
                verifier.verify(f"{signing_input}.{encoded(signature)}")

    def test_key_of_another_algorithm(self, verifier: TokenVerifier) -> None:
        """A key is used with its own algorithm alone."""
        with pytest.raises(Unauthenticated, match="unknown key"):
            verifier.verify(token(kid="rsa"))

    def test_stranger(self, verifier: TokenVerifier) -> None:
        """A stranger's signature does not match under a known key's id, nor his key's id the set's."""
        stranger = ec_key("stranger")

        with pytest.raises(Unauthenticated, match="signature does not match"):
            verifier.verify(token(key=stranger))
        with pytest.raises(Unauthenticated, match="unknown key"):
            verifier.verify(token(key=stranger, kid="stranger"))

    def test_key_that_the_token_brings(self, verifier: TokenVerifier) -> None:
        """A key in the token's own header is not looked at."""
        stranger = ec_key("stranger")
        forged = jwt.encode(claims(), stranger, "ES256", {"kid": "ec", "jwk": jwk(stranger), "jku": "http://x"})

        with pytest.raises(Unauthenticated, match="signature does not match"):
            verifier.verify(forged)

    @pytest.mark.parametrize("header", [{"crit": ["b64"], "b64": False}, {"crit": ["exp"]}, {"crit": None}])
    def test_extension(self, verifier: TokenVerifier, header: dict[str, Any]) -> None:
        """An extension that has to be understood is not."""
        with pytest.raises(Unauthenticated, match="malformed"):
            verifier.verify(signed({"alg": "ES256", "kid": "ec", **header}, {"exp": 4_102_444_800}))

    @pytest.mark.parametrize(
        "text",
        [
            "",
            ".",
            "..",
            "...",
            "a.b",
            "a.b.c",
            "a.b.c.d.e",
            "é.é.é",
            "\ud800.a.b",
            "\x00",
            "null.null.null",
            f"{encoded(b'{')}.e30.",
            f"{encoded([])}.e30.",
            f"{encoded('x')}.e30.",
            f"{encoded({'alg': 'ES256', 'kid': 5})}.e30.",
            f"{encoded({'alg': 'ES256', 'kid': ['ec']})}.e30.",
            f"{encoded(b'[' * 5_000)}.e30.",
            signed({"alg": "ES256", "kid": "ec"}, b"[" * 4_000),
            signed({"alg": "ES256", "kid": "ec"}, [1]),
            signed({"alg": "ES256", "kid": "ec"}, b"\xff"),
            signed({"alg": "ES256", "kid": "ec"}, {"exp": 4_102_444_800}) + "A",
            signed({"alg": "ES256", "kid": "ec"}, {"exp": 4_102_444_800})[:-10],
            signed({"alg": "ES256", "kid": "ec"}, b'{"exp": 1' + b"0" * 5_000 + b"}"),
            "a" * 8_193,
        ],
    )
    def test_garbage(self, verifier: TokenVerifier, text: str) -> None:
        """What is no token is refused, and nothing of it appears in the reason."""
        with pytest.raises(Unauthenticated) as caught:
            verifier.verify(text)
        assert caught.value.detail == str(caught.value)
        assert caught.value.detail.startswith("the token")
        assert len(caught.value.detail) < 60

    @given(st.one_of(st.text(), st.lists(st.text(max_size=40), min_size=3, max_size=3).map(".".join)))
    def test_any_text(self, text: str) -> None:
        """No text whatever fails in another way."""
        with pytest.raises(Unauthenticated):
            TokenVerifier(KeySource.from_jwks(KEY_SET)).verify(text)

    @given(
        st.dictionaries(
            st.sampled_from(["exp", "nbf", "iat", "sub", "scope", "account_id", "iss", "aud", "jti"]),
            st.recursive(
                st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
                max_leaves=3,
            ),
        ),
        st.booleans(),
    )
    def test_any_claims(self, document: dict[str, Any], narrow: bool) -> None:  # noqa: FBT001 - hypothesis gives it
        """No well-signed claims whatever fail in another way, or make a caller that is not one."""
        wanted = {"issuer": "me", "audience": "usage"} if narrow else {}
        verifier = TokenVerifier(KeySource.from_jwks(KEY_SET), **wanted)
        try:
            caller = verifier.verify(signed({"alg": "ES256", "kid": "ec"}, document))
        except Unauthenticated:
            return
        assert isinstance(caller.subject, str)
        assert caller.account_id is None or caller.account_id == document["account_id"] != ""


class Loader:
    """Load the key set that it is given, and count how often."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.loads = 0

    def __call__(self) -> Any:
        """Give the answer, or raise it."""
        self.loads += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Stopwatch:
    """A monotonic clock that the test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.seconds


@pytest.fixture
def stopwatch() -> Stopwatch:
    """Give a clock that stands still."""
    return Stopwatch()


class TestKeySource:
    """When keys are loaded, and which are used."""

    def test_loaded_once(self, stopwatch: Stopwatch) -> None:
        """The key set is loaded when it is first needed, and kept."""
        loader = Loader(KEY_SET)
        source = KeySource(loader, stopwatch)

        assert loader.loads == 0
        for _ in range(3):
            assert source.find("ec", "ES256").key_id == "ec"
        assert loader.loads == 1

    def test_new_key(self, stopwatch: Stopwatch) -> None:
        """A key that was added is found, though not within a minute of the load before."""
        loader = Loader(KEY_SET)
        source = KeySource(loader, stopwatch)
        source.find("ec", "ES256")
        loader.answer = jwks(jwk(ec_key("new"), kid="new"))
        stopwatch.seconds += 59

        with pytest.raises(Unauthenticated, match="unknown key"):
            source.find("new", "ES256")
        stopwatch.seconds += 1
        assert source.find("new", "ES256").key_id == "new"
        assert loader.loads == 2

    def test_unknown_keys_are_cheap(self, stopwatch: Stopwatch) -> None:
        """However many tokens name unknown keys, there is one load a minute."""
        loader = Loader(KEY_SET)
        source = KeySource(loader, stopwatch)
        for number in range(120):
            with pytest.raises(Unauthenticated):
                source.find(f"unknown-{number}", "ES256")
            stopwatch.seconds += 1

        assert loader.loads == 2

    def test_key_that_was_withdrawn(self, stopwatch: Stopwatch) -> None:
        """A key that was withdrawn is refused once the key set is a quarter of an hour old."""
        loader = Loader(KEY_SET)
        source = KeySource(loader, stopwatch)
        source.find("ec", "ES256")
        loader.answer = jwks()
        stopwatch.seconds += 15 * 60
        source.find("ec", "ES256")
        stopwatch.seconds += 1

        with pytest.raises(Unauthenticated, match="unknown key"):
            source.find("ec", "ES256")

    @pytest.mark.parametrize("trouble", [TimeoutError(), ValueError(), RecursionError(), [], {}, {"keys": 5}])
    def test_kept_when_a_load_fails(self, stopwatch: Stopwatch, trouble: Any) -> None:
        """A key set that cannot be loaded again is kept, and asked for no more than once a minute."""
        loader = Loader(KEY_SET)
        source = KeySource(loader, stopwatch)
        source.find("ec", "ES256")
        loader.answer = trouble
        stopwatch.seconds += 3_600
        source.find("ec", "ES256")
        source.find("ec", "ES256")

        assert loader.loads == 2

    def test_never_loaded(self, stopwatch: Stopwatch) -> None:
        """Without any key set nobody is trusted, and it is asked for again after a few seconds."""
        loader = Loader(OSError())
        source = KeySource(loader, stopwatch)
        for _ in range(2):
            with pytest.raises(KeysUnavailable):
                source.find("ec", "ES256")
        assert loader.loads == 1

        loader.answer = KEY_SET
        stopwatch.seconds += 5
        assert source.find("ec", "ES256").key_id == "ec"

    @pytest.mark.parametrize(
        "other",
        [
            jwk(ec_key(), kid="k", use="enc"),
            jwk(ec_key(), kid="k", alg="ES384"),
            jwk(ec_key("p384", ec.SECP384R1()), kid="k"),
            jwk(rsa_key(1_024), kid="k"),
            jwk(ec_key(), kid="k", x="!"),
            jwk(ec_key(), kid="k", x=5),
            jwk(ec_key(), kid="k", y=None),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "k"},
            {"kty": "EC", "crv": ["P-256"], "kid": "k"},
            {"kid": "k"},
            "k",
            None,
        ],
    )
    @pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
    def test_keys_for_other_purposes(self, other: Any, algorithm: str) -> None:
        """What a key set holds beside the keys for signatures is passed over."""
        source = KeySource.from_jwks(jwks(other, jwk(ec_key(), kid="ec")))

        assert source.find("ec", "ES256").key_id == "ec"
        with pytest.raises(Unauthenticated, match="unknown key"):
            source.find("k", algorithm)

    def test_private_key(self) -> None:
        """A key set that gives a private key away does not make it trusted."""
        secret = jwt.algorithms.ECAlgorithm.to_jwk(ec_key(), as_dict=True)
        source = KeySource.from_jwks(jwks({**secret, "kid": "k"}))

        with pytest.raises(Unauthenticated, match="unknown key"):
            source.find("k", "ES256")

    def test_known_key_waits_for_nobody(self, stopwatch: Stopwatch) -> None:
        """While one thread loads the key set, another one whose key is known goes on."""
        loading, loaded = threading.Event(), threading.Event()

        def load() -> Any:
            if loader.loads:
                loading.set()
                loaded.wait(10)
            return loader()

        loader = Loader(KEY_SET)
        source = KeySource(load, stopwatch)
        source.find("ec", "ES256")
        stopwatch.seconds += 3_600
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(source.find, "rsa", "RS256")
            loading.wait(10)
            assert source.find("ec", "ES256").key_id == "ec"
            assert not other.done()
            loaded.set()
            assert other.result(10).key_id == "rsa"

    def test_two_keys_without_an_id_asked_for(self) -> None:
        """A token without a key id is not tried with several keys."""
        source = KeySource.from_jwks(jwks(jwk(ec_key()), jwk(ec_key("other"))))

        with pytest.raises(Unauthenticated, match="unknown key"):
            source.find(None, "ES256")


class TestRemembered:
    """Tokens that come again."""

    def test_until_it_expires(self) -> None:
        """A token that was good is refused once it has expired, at the second at which a new verifier refuses it."""
        expires = int(time.time()) + 300
        now = [float(expires)]
        verifier = TokenVerifier(KeySource.from_jwks(KEY_SET), clock=lambda: now[0])
        text = token(claims(exp=expires))
        assert verifier.verify(text).subject == "ann"

        now[0] = expires + 29.9
        assert verifier.verify(text).subject == "ann"
        now[0] = expires + 30
        with pytest.raises(Unauthenticated, match="expired"):
            verifier.verify(text)

    def test_until_its_key_is_withdrawn(self, stopwatch: Stopwatch) -> None:
        """A token that was good is refused once its key is in the key set no more, and taken again with it."""
        loader = Loader(KEY_SET)
        verifier = TokenVerifier(KeySource(loader, stopwatch))
        text = token()
        assert verifier.verify(text).subject == "ann"

        loader.answer = jwks()
        stopwatch.seconds += 15 * 60 + 1
        with pytest.raises(Unauthenticated, match="unknown key"):
            verifier.verify(text)
        loader.answer = KEY_SET
        stopwatch.seconds += 60
        assert verifier.verify(text).subject == "ann"

    def test_with_another_signature(self, verifier: TokenVerifier) -> None:
        """What was good of a token says nothing of one that only looks like it."""
        text = token()
        assert verifier.verify(text).subject == "ann"
        head, payload, _ = text.split(".")

        with pytest.raises(Unauthenticated, match="signature"):
            verifier.verify(f"{head}.{payload}.{token(claims(sub='bob')).split('.')[2]}")


class TestFromSettings:
    """Where the keys come from."""

    def test_file(self, tmp_path: Path) -> None:
        """The keys may be in a file."""
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps(KEY_SET))
        settings = Settings(jwks_file=path, issuer="me", audience="usage")

        good = token(claims(iss="me", aud="usage"))
        assert TokenVerifier.from_settings(settings).verify(good).subject == "ann"
        with pytest.raises(Unauthenticated, match="no claim"):
            TokenVerifier.from_settings(settings).verify(token())

    def test_file_that_is_missing(self, tmp_path: Path) -> None:
        """A file that is missing is the service's trouble."""
        settings = Settings(jwks_file=tmp_path / "jwks.json")

        with pytest.raises(KeysUnavailable):
            TokenVerifier.from_settings(settings).verify(token())

    def test_nothing(self) -> None:
        """Without a key set no token could be judged."""
        with pytest.raises(SettingsError, match="USAGE_TAB_JWKS_URL or USAGE_TAB_JWKS_FILE"):
            TokenVerifier.from_settings(replace(Settings(), jwks_url=None))
