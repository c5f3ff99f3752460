"""What flows: the metering stream into the service, the bus of notifications out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from infra.intrinsics import Resources, sub
from infra.retention import kept


if TYPE_CHECKING:
    from infra.stages import Stage

METERING_STREAM: Final = "MeteringStream"
EVENT_BUS: Final = "EventBus"

_RETENTION_HOURS: Final = 7 * 24


def streams(stage: Stage) -> Resources:
    """Return the metering stream and the event bus of *stage*."""
    return {
        METERING_STREAM: {
            "Type": "AWS::Kinesis::Stream",
            **kept(stage),
            "Properties": {
                "ShardCount": stage.metering_shards,
                "RetentionPeriodHours": _RETENTION_HOURS,
                "StreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"},
            },
        },
        EVENT_BUS: {"Type": "AWS::Events::EventBus", "Properties": {"Name": sub("${AWS::StackName}")}},
    }
