"""How an operator's command line finds a stage."""

from __future__ import annotations

import shlex

from chalicelib.settings import Settings
from infra.environment import exports
from tests.templates import sam


def test_exports() -> None:
    """Each variable is one of the service's, and each value comes from an output that the stack has."""
    outputs = {name: f"https://sqs.example/{name}" for name in sam("prod")["Outputs"]}

    words = [shlex.split(line) for line in exports(outputs, "eu-west-1")]
    variables = dict(assignment.split("=", 1) for _, assignment in words)

    assert {export for export, _ in words} == {"export"}
    settings = Settings.from_environment(variables)
    assert settings.state_table == "https://sqs.example/StateTableName"
    assert settings.pages_table == "https://sqs.example/PagesTableName"
    assert settings.metering_dead_letters == "https://sqs.example/MeteringDeadLettersUrl"
    assert settings.event_dead_letters == "https://sqs.example/EventDeadLettersUrl"
    assert settings.dead_letters == "https://sqs.example/WorkDeadLettersUrl"
    assert settings.work_queue == "https://sqs.example/WorkQueueUrl"
    assert settings.report_queue == "https://sqs.example/ReportQueueUrl"
    assert settings.report_bucket == "https://sqs.example/ReportBucketName"
    assert settings.event_bus == "https://sqs.example/EventBusName"
    assert (settings.region, settings.store) == ("eu-west-1", "https://dynamodb.eu-west-1.amazonaws.com")
