"""The template of a stage as it is packaged, and as CloudFormation gets it from SAM."""

from __future__ import annotations

import os
from functools import cache
from typing import Any
from unittest.mock import patch

from samtranslator.translator.transform import transform

from infra.stages import read_stage
from infra.template import template


STAGES = ("dev", "staging", "prod")


@cache
def sam(stage: str) -> dict[str, Any]:
    """Return the packaged template of *stage*."""
    return template(read_stage(stage))


@cache
def cloudformation(stage: str) -> dict[str, Any]:
    """Return what SAM makes of the packaged template of *stage*, once its code lies in a bucket."""
    source = template(read_stage(stage))
    for resource in source["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/code.zip"
    with patch.dict(os.environ, AWS_DEFAULT_REGION=read_stage(stage).region):
        translated: dict[str, Any] = transform(source, {}, _NoManagedPolicies())
    return translated


def of_type(resources: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of all resources of a type, by their names."""
    return {name: resource["Properties"] for name, resource in resources.items() if resource["Type"] == kind}


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        """Return none: no function names a policy of AWS's by its name."""
        return {}
