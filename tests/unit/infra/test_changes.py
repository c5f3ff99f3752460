"""What a change set takes away."""

from __future__ import annotations

from infra.changes import described, losses, of_data


def change(name: str, kind: str, action: str, **more: str) -> dict[str, str]:
    """Return a change as CloudFormation describes it."""
    return {"LogicalResourceId": name, "ResourceType": f"AWS::{kind}", "Action": action, **more}


def test_what_is_lost() -> None:
    """What is removed, replaced, or may be replaced; of that, what holds data."""
    changes = [
        change("New", "S3::Bucket", "Add"),
        change("Edited", "DynamoDB::Table", "Modify", Replacement="False"),
        change("Replaced", "DynamoDB::Table", "Modify", Replacement="True"),
        change("Perhaps", "Kinesis::Stream", "Modify", Replacement="Conditional"),
        change("Gone", "Lambda::Version", "Remove"),
    ]

    assert [described(loss) for loss in losses(changes)] == [
        "replaces Replaced (AWS::DynamoDB::Table)",
        "replaces Perhaps (AWS::Kinesis::Stream)",
        "removes Gone (AWS::Lambda::Version)",
    ]
    assert [loss["LogicalResourceId"] for loss in of_data(losses(changes))] == ["Replaced", "Perhaps"]
