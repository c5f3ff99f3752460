"""What a change set of CloudFormation would take away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final


if TYPE_CHECKING:
    from collections.abc import Iterable

HOLDS_DATA: Final = frozenset(
    {"AWS::DynamoDB::Table", "AWS::Kinesis::Stream", "AWS::S3::Bucket", "AWS::SecretsManager::Secret"}
)
"""Types whose replacement begins empty."""

Change = dict[str, Any]


def losses(changes: Iterable[Change]) -> list[Change]:
    """Return those of *changes* to resources that remove one, or replace it, or may do so."""
    return [change for change in changes if change["Action"] == "Remove" or _may_replace(change)]


def of_data(changes: Iterable[Change]) -> list[Change]:
    """Return those of *changes* that concern a resource which holds data."""
    return [change for change in changes if change["ResourceType"] in HOLDS_DATA]


def described(change: Change) -> str:
    """Return one of `losses` in words."""
    verb = "removes" if change["Action"] == "Remove" else "replaces"
    return f"{verb} {change['LogicalResourceId']} ({change['ResourceType']})"


def _may_replace(change: Change) -> bool:
    return change["Action"] == "Modify" and change.get("Replacement") in {"True", "Conditional"}
