"""The API before the function: limits, logs, answers of the gateway itself, and the firewall."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from chalicelib.api.problems import CONTENT_TYPE, problem
from infra.functions import log_group
from infra.intrinsics import Resource, Resources, arn, ref, sub
from infra.rollout import API as HANDLER
from infra.rollout import alias_of


if TYPE_CHECKING:
    from infra.stages import Stage

API: Final = "RestAPI"
PERMISSION: Final = f"{HANDLER}InvokePermission"
LIVE: Final = alias_of(HANDLER)
LOG: Final = f"{API}Log"
WEB_ACL: Final = "WebACL"

_ACCOUNT: Final = "GatewayAccount"
_ACCOUNT_ROLE: Final = "GatewayAccountRole"

_REQUESTS_OF_AN_ADDRESS_MAX: Final = 10_000
"""In five minutes."""
_RETRY_OF_AN_ADDRESS_SECONDS: Final = 60
_TOO_MANY: Final = "too-many-requests"
_METERED_PATH: Final = "/v1/events"
"""The metering system sends from few addresses, and as much as there is; the limits of the API hold for it as well."""
_RETRY_AFTER_SECONDS: Final = 1
_WORTH_ANOTHER_TRY: Final = frozenset({429, 503})

_ANSWERS: Final = {
    "DEFAULT_4XX": ("malformed_body", "the request cannot be read"),
    "DEFAULT_5XX": ("internal_error", "the request could not be answered"),
    "MISSING_AUTHENTICATION_TOKEN": ("not_found", "there is nothing at this path, or not by this method"),
    # What is found wrong with a token at a path that is not there, where only AWS's own would do.
    "INVALID_SIGNATURE": ("not_found", "there is nothing at this path, or not by this method"),
    "RESOURCE_NOT_FOUND": ("not_found", "there is nothing at this path"),
    "REQUEST_TOO_LARGE": ("body_too_large", "the body is too large"),
    "UNSUPPORTED_MEDIA_TYPE": ("unsupported_media_type", "the body is of a type that is not taken here"),
    "WAF_FILTERED": ("refused", "the request was refused before it was read"),
    "ACCESS_DENIED": ("refused", "the request was refused before it was read"),
    "THROTTLED": ("too_many_requests", "there are too many requests"),
    "QUOTA_EXCEEDED": ("too_many_requests", "there are too many requests"),
    "INTEGRATION_TIMEOUT": ("busy", "the answer took too long; whether the request was carried out is not known"),
    "INTEGRATION_FAILURE": ("busy", "the request could not be answered now"),
}
"""What API Gateway answers by itself, in the words of the API: a problem's code and detail."""


def api(chalice: Resources, stage: Stage) -> Resources:
    """Return the API that *chalice* has described, completed, and what stands before it."""
    definition = chalice[API]["Properties"]["DefinitionBody"]
    definition["info"]["title"] = sub("${AWS::StackName}")  # metrics go by it
    _call_alias(definition)
    completed = {
        **chalice[API]["Properties"],
        "DefinitionBody": definition,
        "OpenApiVersion": "2.0",  # without it, SAM makes a second stage that nobody asked for
        "TracingEnabled": False,
        "MethodSettings": [_limits(stage)],
        "AccessLogSetting": {"DestinationArn": arn(LOG), "Format": _access_log_format()},
        "GatewayResponses": _gateway_responses(stage),
    }
    resources = {
        API: {"Type": chalice[API]["Type"], "Properties": completed},
        PERMISSION: _on_alias(chalice[PERMISSION]),
        LOG: log_group(stage),
    }
    if stage.gateway_log_role:
        resources |= _leave_to_write_logs()
        resources[API]["DependsOn"] = _ACCOUNT
    if stage.web_acl:
        resources |= _firewall()
    return resources


def _call_alias(definition: dict[str, Any]) -> None:
    """Have every path answered by the version that is live."""
    for path in definition["paths"].values():
        for method in path.values():
            integration = method.get("x-amazon-apigateway-integration", {})
            if "uri" in integration:
                uri = integration["uri"]["Fn::Sub"].replace(f"${{{HANDLER}.Arn}}", f"${{{LIVE}}}")
                integration["uri"] = sub(uri)


def _on_alias(permission: Resource) -> Resource:
    return {**permission, "Properties": {**permission["Properties"], "FunctionName": ref(LIVE)}}


def _limits(stage: Stage) -> dict[str, Any]:
    return {
        "ResourcePath": "/*",
        "HttpMethod": "*",
        "ThrottlingRateLimit": stage.requests_per_second,
        "ThrottlingBurstLimit": stage.requests_burst,
        "MetricsEnabled": True,
        "LoggingLevel": "OFF",  # the access log tells of every request; this one could hold bodies
        "DataTraceEnabled": False,
    }


def _access_log_format() -> str:
    """Return the line of a request: no token, and of the path no query, which may hold what a customer typed."""
    fields = {
        "request_id": "$context.requestId",
        "time": "$context.requestTime",
        "address": "$context.identity.sourceIp",
        "method": "$context.httpMethod",
        "path": "$context.path",
        "resource": "$context.resourcePath",
        "status": "$context.status",
        "answered_by": "$context.error.responseType",
        "latency_ms": "$context.responseLatency",
        "function_latency_ms": "$context.integrationLatency",
        "bytes": "$context.responseLength",
    }
    return json.dumps(fields)


def _gateway_responses(stage: Stage) -> dict[str, Any]:
    """Return problems as the function would write them: without them, a caller would have to read two languages."""
    return {kind: _gateway_response(*answer, stage) for kind, answer in _ANSWERS.items()}


def _gateway_response(code: str, detail: str, stage: Stage) -> dict[str, Any]:
    answer = problem(code, detail).to_dict()
    headers = {
        "X-Request-Id": "context.requestId",
        "X-Content-Type-Options": "'nosniff'",
        "Cache-Control": "'no-store'",
    }
    if answer["statusCode"] in _WORTH_ANOTHER_TRY:
        headers["Retry-After"] = f"'{_RETRY_AFTER_SECONDS}'"
    if stage.console_origins:
        # One origin is all that a fixed header can name; it lets its pages read why they were refused.
        headers |= {"Access-Control-Allow-Origin": f"'{stage.console_origins[0]}'", "Vary": "'Origin'"}
    return {
        "StatusCode": answer["statusCode"],
        "ResponseParameters": {"Headers": headers},
        "ResponseTemplates": {CONTENT_TYPE: answer["body"]},
    }


def _leave_to_write_logs() -> Resources:
    """Return what allows API Gateway to write logs: a setting of the account for all its APIs, so AWS's own policy."""
    stays = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}  # other stages of the account log by it too
    trust = {"Effect": "Allow", "Principal": {"Service": "apigateway.amazonaws.com"}, "Action": "sts:AssumeRole"}
    return {
        _ACCOUNT_ROLE: {
            "Type": "AWS::IAM::Role",
            **stays,
            "Properties": {
                "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
                "ManagedPolicyArns": [
                    sub("arn:${AWS::Partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs")
                ],
            },
        },
        _ACCOUNT: {
            "Type": "AWS::ApiGateway::Account",
            **stays,
            "Properties": {"CloudWatchRoleArn": arn(_ACCOUNT_ROLE)},
        },
    }


def _firewall() -> Resources:
    """Return a web ACL: addresses that ask far too often, and those known for attacks, are refused."""
    stage_arn = sub(
        f"arn:${{AWS::Partition}}:apigateway:${{AWS::Region}}::/restapis/${{{API}}}/stages/${{{API}.Stage}}"
    )
    refusal = problem(*_ANSWERS["THROTTLED"]).to_dict()
    per_address = {
        "Name": "requests-of-an-address",
        "Priority": 0,
        "Action": {"Block": {"CustomResponse": _too_many(refusal["statusCode"])}},
        "Statement": {
            "RateBasedStatement": {
                "Limit": _REQUESTS_OF_AN_ADDRESS_MAX,
                "AggregateKeyType": "IP",
                "ScopeDownStatement": {"NotStatement": {"Statement": _path_ends_with(_METERED_PATH)}},
            }
        },
        "VisibilityConfig": _counted("requests-of-an-address"),
    }
    groups = ("AWSManagedRulesAmazonIpReputationList", "AWSManagedRulesKnownBadInputsRuleSet")
    managed = [
        {
            "Name": group,
            "Priority": priority,
            "OverrideAction": {"None": {}},
            "Statement": {"ManagedRuleGroupStatement": {"VendorName": "AWS", "Name": group}},
            "VisibilityConfig": _counted(group),
        }
        for priority, group in enumerate(groups, start=1)
    ]
    return {
        WEB_ACL: {
            "Type": "AWS::WAFv2::WebACL",
            "Properties": {
                "Scope": "REGIONAL",
                "DefaultAction": {"Allow": {}},
                "Rules": [per_address, *managed],
                "CustomResponseBodies": {
                    _TOO_MANY: {"ContentType": "APPLICATION_JSON", "Content": refusal["body"]},
                },
                "VisibilityConfig": _counted("usage-tab"),
            },
        },
        f"{WEB_ACL}Association": {
            "Type": "AWS::WAFv2::WebACLAssociation",
            "Properties": {"ResourceArn": stage_arn, "WebACLArn": arn(WEB_ACL)},
        },
    }


def _too_many(status: int) -> dict[str, Any]:
    """Return the answer to an address that asks too often; its Content-Type is not ours to choose."""
    headers = {"Retry-After": str(_RETRY_OF_AN_ADDRESS_SECONDS), "Cache-Control": "no-store"}
    return {
        "ResponseCode": status,
        "CustomResponseBodyKey": _TOO_MANY,
        "ResponseHeaders": [{"Name": name, "Value": value} for name, value in headers.items()],
    }


def _path_ends_with(path: str) -> dict[str, Any]:
    return {
        "ByteMatchStatement": {
            "FieldToMatch": {"UriPath": {}},
            "PositionalConstraint": "ENDS_WITH",
            "SearchString": path,
            "TextTransformations": [{"Priority": 0, "Type": "NONE"}],
        }
    }


def _counted(metric: str) -> dict[str, Any]:
    return {"CloudWatchMetricsEnabled": True, "MetricName": metric, "SampledRequestsEnabled": False}
