"""CloudFormation's intrinsic functions."""

from __future__ import annotations

from typing import Any


Resource = dict[str, Any]
Resources = dict[str, Resource]


def ref(name: str) -> dict[str, str]:
    """Return what a resource is known by: the name of a table, a bus and a bucket, the URL of a queue."""
    return {"Ref": name}


def attribute(name: str, of: str) -> dict[str, list[str]]:
    """Return an attribute of a resource."""
    return {"Fn::GetAtt": [name, of]}


def arn(name: str) -> dict[str, list[str]]:
    """Return the ARN of a resource."""
    return attribute(name, "Arn")


def sub(text: str) -> dict[str, str]:
    """Return *text* with what stands in `${}` filled in."""
    return {"Fn::Sub": text}
