"""The one secret of a stage: whose tokens to trust, and the keys for payments. The stack makes it, empty."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.retention import kept


if TYPE_CHECKING:
    from infra.intrinsics import Resources
    from infra.stages import Stage

SECRET: Final = "Secret"  # noqa: S105 - its name


def secrets(stage: Stage) -> Resources:
    """Return the secret of *stage*: what an operator puts into it, no deployment touches."""
    return {
        SECRET: {
            "Type": "AWS::SecretsManager::Secret",
            **kept(stage),
            "Properties": {
                # Without a value: one in here would come back whenever the resource is updated.
                "Description": f"Settings of usage-tab in stage {stage.name} that nobody may read",
            },
        }
    }
