"""What a stack says of states that an emulator does not come into."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.stacks import Stack, StackError
from infra.stages import read_stage
from tests.templates import sam


class HalfTakenBack:
    """A session, and its clients, of an account whose stack could not be brought back to what it was."""

    def create_client(self, service: str, **_: Any) -> HalfTakenBack:
        """Give a client."""
        del service
        return self

    def get_caller_identity(self) -> dict[str, str]:
        """Tell whose account it is."""
        return {"Account": "123456789012"}

    def describe_stacks(self, **_: Any) -> dict[str, Any]:
        """Tell how it stands with the stack."""
        return {"Stacks": [{"StackStatus": "UPDATE_ROLLBACK_FAILED"}]}


def test_a_way_back_that_failed(tmp_path: Path) -> None:
    """Whoever deploys next is told the command that leads out."""
    packaged = tmp_path / "sam.json"
    packaged.write_text(json.dumps(sam("prod")))
    session: Any = HalfTakenBack()

    with pytest.raises(StackError, match="continue-update-rollback --stack-name usage-tab-prod --region eu-west-1"):
        Stack(read_stage("prod"), session, print).deploy(packaged, tmp_path / "deployment.zip")
