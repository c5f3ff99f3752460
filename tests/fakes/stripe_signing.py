"""Webhooks as Stripe signs them: by the machine's clock, against which its SDK judges their age."""

from __future__ import annotations

import hashlib
import hmac
import time


SECRET = "whsec_made_up"


def signature(payload: bytes, secret: str = SECRET, age: int = 0) -> str:
    """Return the header that Stripe sends with *payload*, signed *age* seconds ago."""
    at = int(time.time()) - age
    digest = hmac.new(secret.encode(), b"%d.%s" % (at, payload), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"
