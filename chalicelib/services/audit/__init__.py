"""
The audit: everything computed anew from the recorded events and the ledger, and compared with what is served.

    look        what is read of an account for one audit
    events      each event by itself: by a rate that matches, in pages that the indexes list
    repeats     the events of a day against each other: each counted once
    replay      event after event and entry after entry, from snapshot to snapshot, by the rules of the domain
    recount     the same added up: usage by month against head and invoices, credit by grant against the head
    ledger      entries, grants, commitments and invoices against each other
    payments    payments by card against the ledger and auto recharge
"""

from __future__ import annotations

from chalicelib.services.audit.auditing import Auditing
from chalicelib.services.audit.findings import Finding, Kind


__all__ = ["Auditing", "Finding", "Kind"]
