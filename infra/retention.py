"""What becomes of a resource that holds what cannot be had again, once its stack goes."""

from __future__ import annotations

from typing import TYPE_CHECKING


if TYPE_CHECKING:
    from infra.stages import Stage


def kept(stage: Stage) -> dict[str, str]:
    """Return the policies that keep a resource where *stage* retains its data, and else delete it."""
    policy = "Retain" if stage.retains_data else "Delete"
    return {"DeletionPolicy": policy, "UpdateReplacePolicy": policy}
