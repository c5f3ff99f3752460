"""placeholder"""
from __future__ import annotations
DEMO_ACCOUNT = "demo"
def fill_demo(store, settings, now):  # type: ignore
    return None
