"""The API before its function."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from chalicelib.api.problems import problem
from infra.stages import read_stage
from infra.template import template
from tests.templates import STAGES, cloudformation, of_type, sam


every_stage = pytest.mark.parametrize("stage", STAGES)


def api(stage: str) -> dict[str, Any]:
    """Return the API's properties."""
    properties: dict[str, Any] = sam(stage)["Resources"]["RestAPI"]["Properties"]
    return properties


@every_stage
def test_the_live_version_answers(stage: str) -> None:
    """Every path calls the alias, which API Gateway may do; the function itself it may not."""
    resources = cloudformation(stage)["Resources"]
    (definition,) = of_type(resources, "AWS::ApiGateway::RestApi").values()
    uris = {
        method["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]
        for path in definition["Body"]["paths"].values()
        for method in path.values()
        if isinstance(method, dict)
    }
    gateway = [
        permission["FunctionName"]
        for permission in of_type(resources, "AWS::Lambda::Permission").values()
        if permission["Principal"] == "apigateway.amazonaws.com"
    ]

    assert [uri.rpartition("functions/")[2] for uri in uris] == ["${APIHandlerAliaslive}/invocations"]
    assert gateway == [{"Ref": "APIHandlerAliaslive"}]
    assert resources["APIHandlerAliaslive"]["Type"] == "AWS::Lambda::Alias"


@every_stage
def test_limits_and_logs(stage: str) -> None:
    """Requests are limited, each leaves a line without its query or token, and bodies are never logged."""
    (packaged,) = of_type(cloudformation(stage)["Resources"], "AWS::ApiGateway::Stage").values()
    (limits,) = packaged["MethodSettings"]
    line = packaged["AccessLogSetting"]["Format"]

    assert api(stage)["EndpointConfiguration"] == "REGIONAL"
    assert (limits["ResourcePath"], limits["HttpMethod"]) == ("/*", "*")
    assert limits["ThrottlingRateLimit"] == read_stage(stage).requests_per_second
    assert limits["ThrottlingBurstLimit"] == read_stage(stage).requests_burst
    assert limits["DataTraceEnabled"] is False
    assert packaged["TracingEnabled"] is False
    assert packaged["AccessLogSetting"]["DestinationArn"] == {"Fn::GetAtt": ["RestAPILog", "Arn"]}
    assert json.loads(line)["request_id"] == "$context.requestId"
    assert "header" not in line
    assert "query" not in line.lower()


@every_stage
def test_the_gateway_answers_with_problems(stage: str) -> None:
    """What API Gateway answers by itself reads like what the function answers."""
    answers = api(stage)["GatewayResponses"]

    assert {"DEFAULT_4XX", "DEFAULT_5XX", "THROTTLED", "MISSING_AUTHENTICATION_TOKEN"} <= answers.keys()
    for answer in answers.values():
        ((content_type, body),) = answer["ResponseTemplates"].items()
        told = json.loads(body)
        as_function = problem(told["code"], told["detail"]).to_dict()
        assert content_type == as_function["headers"]["Content-Type"]
        assert told == json.loads(as_function["body"])
        assert told["status"] == answer["StatusCode"]


def test_what_they_say() -> None:
    """A path that is not there is 404, too many requests are 429, and the busy say when to come again."""
    answers = api("prod")["GatewayResponses"]

    for kind in ("MISSING_AUTHENTICATION_TOKEN", "INVALID_SIGNATURE", "RESOURCE_NOT_FOUND"):
        assert answers[kind]["StatusCode"] == 404
    assert answers["REQUEST_TOO_LARGE"]["StatusCode"] == 413
    assert answers["THROTTLED"]["StatusCode"] == 429
    for kind in ("THROTTLED", "INTEGRATION_TIMEOUT", "INTEGRATION_FAILURE"):
        assert answers[kind]["ResponseParameters"]["Headers"]["Retry-After"] == "'1'"


def test_pages_of_another_origin() -> None:
    """They may read why they were refused, where a stage names them; else there is no word of it."""
    stage = replace(read_stage("dev"), console_origins=("https://console.example", "https://other.example"))
    packaged = template(stage)
    answers = packaged["Resources"]["RestAPI"]["Properties"]["GatewayResponses"]
    variables = packaged["Globals"]["Function"]["Environment"]["Variables"]

    for answer in answers.values():
        headers = answer["ResponseParameters"]["Headers"]
        assert headers["Access-Control-Allow-Origin"] == "'https://console.example'"
    assert variables["USAGE_TAB_CONSOLE_ORIGIN"] == "https://console.example,https://other.example"
    assert "Access-Control-Allow-Origin" not in json.dumps(api("dev")["GatewayResponses"])


@pytest.mark.parametrize("is_on", [True, False])
def test_the_firewall_is_a_setting(*, is_on: bool) -> None:
    """It stands before the stage, and refuses addresses that ask too often."""
    resources = template(replace(read_stage("dev"), web_acl=is_on))["Resources"]

    assert ("WebACL" in resources) == ("WebACLAssociation" in resources) == is_on
    if is_on:
        rules = resources["WebACL"]["Properties"]["Rules"]
        assert rules[0]["Statement"]["RateBasedStatement"]["AggregateKeyType"] == "IP"


def test_an_address_that_asks_too_often() -> None:
    """It is told 429 and when to come again, as by the API; the door of the metering system is not counted."""
    firewall = sam("prod")["Resources"]["WebACL"]["Properties"]
    rule = firewall["Rules"][0]
    answer = rule["Action"]["Block"]["CustomResponse"]
    body = json.loads(firewall["CustomResponseBodies"][answer["CustomResponseBodyKey"]]["Content"])
    uncounted = rule["Statement"]["RateBasedStatement"]["ScopeDownStatement"]["NotStatement"]["Statement"]

    assert answer["ResponseCode"] == body["status"] == 429
    assert body["code"] == "too_many_requests"
    assert {"Name": "Retry-After", "Value": "60"} in answer["ResponseHeaders"]
    match = uncounted["ByteMatchStatement"]
    assert (match["PositionalConstraint"], match["SearchString"]) == ("ENDS_WITH", "/v1/events")
    assert match["FieldToMatch"] == {"UriPath": {}}


@pytest.mark.parametrize("is_on", [True, False])
def test_leave_to_write_logs_is_a_setting(*, is_on: bool) -> None:
    """It belongs to the account, which may have it from elsewhere; where the stack gives it, the API waits for it."""
    resources = template(replace(read_stage("dev"), gateway_log_role=is_on))["Resources"]

    assert ("GatewayAccount" in resources) == is_on
    for name in {"GatewayAccount", "GatewayAccountRole"} & resources.keys():
        assert resources[name]["DeletionPolicy"] == "Retain"  # other stages of the account need it
    assert resources["RestAPI"].get("DependsOn") == ("GatewayAccount" if is_on else None)
