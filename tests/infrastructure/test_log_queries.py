"""Saved log queries: the functions log the fields and messages that the queries use."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from functools import cache

import pytest

from redial.runtime import telemetry
from tests.support.template import ROOT, functions, of_type

QUERIES = of_type("AWS::Logs::QueryDefinition")
OF_LAMBDAS_CONTEXT = {"cold_start", "function_arn", "function_memory_size", "function_name", "function_request_id"}
"""`inject_lambda_context` adds these to each line."""
OF_LOGS_INSIGHTS = {
    "@duration",
    "@initDuration",
    "@log",
    "@maxMemoryUsed",
    "@message",
    "@requestId",
    "@timestamp",
    "@type",
}
"""Fields that CloudWatch discovers: …/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html"""
COMMANDS = {"as", "asc", "by", "count", "desc", "fields", "filter", "in", "latest", "like", "limit", "not", "or", "and"}
COMMANDS |= {"sort", "stats"}


@cache
def _all_calls() -> tuple[ast.Call, ...]:
    """Every call expression in the deployed code."""
    paths = (*ROOT.glob("functions/*/handler.py"), *ROOT.glob("layers/redial/redial/**/*.py"))
    nodes = (node for path in paths for node in ast.walk(ast.parse(path.read_text())))
    return tuple(node for node in nodes if isinstance(node, ast.Call))


def _calls(method: str) -> Iterator[ast.Call]:
    """Every call expression of a method with that name."""
    return (one for one in _all_calls() if isinstance(one.func, ast.Attribute) and one.func.attr == method)


@cache
def _logged() -> frozenset[str]:
    """The fields of Redial's log lines: Powertools' own, those that handlers append, and each line's extras."""
    line = logging.LogRecord("redial", logging.WARNING, "handler.py", 1, "a line", (), None)
    fields = {*json.loads(telemetry.logger.registered_formatter.format(line)), *OF_LAMBDAS_CONTEXT}
    fields |= {keyword.arg for call in _calls("about") for keyword in call.keywords if keyword.arg}
    for level in ("debug", "info", "warning", "error", "exception", "level"):
        for call in _calls(level):
            fields |= _extras(call)
    # dial and sweep choose the level first: `level("swept", extra={…})`.
    for call in _all_calls():
        if isinstance(call.func, ast.Name) and call.func.id == "level":
            fields |= _extras(call)
    return frozenset(fields)


def _extras(call: ast.Call) -> set[str]:
    return {
        str(ast.literal_eval(key))
        for keyword in call.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict)
        for key in keyword.value.keys
        if key is not None
    }


def _query(name: str) -> str:
    text: str = QUERIES[name]["Properties"]["QueryString"]
    return text


def _named(query: str) -> set[str]:
    """The fields that a query reads: its words except commands, strings, patterns and names that it defines."""
    bare = re.sub(r'"[^"]*"|/(?:[^/\\]|\\.)+/', "", query)
    given = set(re.findall(r"\bas (\w+)", bare))
    return set(re.findall(r"@?\b[A-Za-z_]\w*", bare)) - COMMANDS - given


def test_every_field_in_a_query_is_logged() -> None:
    named = {name: _named(_query(name)) for name in QUERIES}
    assert all(named.values())
    assert {name: unknown for name, read in named.items() if (unknown := read - _logged() - OF_LOGS_INSIGHTS)} == {}


def test_a_field_that_is_not_logged_is_found() -> None:
    assert _named('fields @timestamp, execution | filter level = "ERROR" and x like /a|b/') == {
        "@timestamp",
        "execution",
        "level",
        "x",
    }
    assert not {"execution", "x"} & _logged()


def test_every_message_that_a_query_filters_by_is_logged() -> None:
    source = "\n".join(path.read_text() for path in ROOT.glob("functions/*/handler.py"))
    looked_for = {
        text
        for name in QUERIES
        for text in re.findall(r'message = "([^"]+)"|message like /\^([^/]+)/', _query(name))
        for text in text
        if text
    }
    assert looked_for == {"callback rejected", "delivered", "dialled", "swept"}
    for text in looked_for:
        assert re.search(rf'"{text}\b', source), text


def _groups() -> set[str]:
    """The functions' log groups. test_functions.py checks that the template declares them."""
    return {f"/aws/lambda/${{{function['LogicalId']}}}" for function in functions().values()}


def test_every_query_reads_logs_of_functions_and_has_a_name_in_the_stacks_folder() -> None:
    for query in (one["Properties"] for one in QUERIES.values()):
        read = [group["Fn::Sub"] for group in query["LogGroupNames"]]
        assert read and set(read) <= _groups() and len(set(read)) == len(read), query["Name"]
        assert query["Name"]["Fn::Sub"].startswith("${AWS::StackName}/")


@pytest.mark.parametrize("name", ["ErrorsQuery", "ExecutionQuery"])
def test_queries_about_the_whole_system_read_every_functions_log(name: str) -> None:
    assert {group["Fn::Sub"] for group in QUERIES[name]["Properties"]["LogGroupNames"]} == _groups()
