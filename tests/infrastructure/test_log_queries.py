"""Saved log queries: the functions log the fields and messages that they name."""

import ast
import json
import logging
import re
from collections.abc import Iterator

import pytest

from redial.runtime import telemetry
from tests.support.template import ROOT, functions, of_type

QUERIES = of_type("AWS::Logs::QueryDefinition")
OF_LAMBDAS_CONTEXT = {"cold_start", "function_arn", "function_memory_size", "function_name", "function_request_id"}
"""Fields that `inject_lambda_context` adds to each line."""
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
"""Fields that Logs Insights adds: …/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html"""
COMMANDS = {"as", "asc", "by", "count", "desc", "fields", "filter", "in", "latest", "like", "limit", "not", "or", "and"}
COMMANDS |= {"sort", "stats"}

each_query = pytest.mark.parametrize("name", sorted(QUERIES))


def _calls(method: str) -> Iterator[ast.Call]:
    """Every call of a method of that name in the deployed code."""
    for path in (*ROOT.glob("functions/*/handler.py"), *ROOT.glob("layers/redial/redial/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == method:
                yield node


def _logged() -> set[str]:
    """The fields of our log lines: Powertools' own, those that handlers append, and each line's extras."""
    line = logging.LogRecord("redial", logging.WARNING, "handler.py", 1, "a line", (), None)
    fields = {*json.loads(telemetry.logger.registered_formatter.format(line)), *OF_LAMBDAS_CONTEXT}
    fields |= {keyword.arg for call in _calls("about") for keyword in call.keywords if keyword.arg}
    for level in ("debug", "info", "warning", "error", "exception", "level"):
        for call in _calls(level):
            fields |= _extras(call)
    fields |= _extras_of_a_level()
    return fields


def _extras(call: ast.Call) -> set[str]:
    return {
        str(ast.literal_eval(key))
        for keyword in call.keywords
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict)
        for key in keyword.value.keys
        if key is not None
    }


def _extras_of_a_level() -> set[str]:
    """dial and sweep choose the level first: `level("swept", extra={…})`."""
    found: set[str] = set()
    for path in ROOT.glob("functions/*/handler.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "level":
                found |= _extras(node)
    return found


def _query(name: str) -> str:
    text: str = QUERIES[name]["Properties"]["QueryString"]
    return text


def _named(query: str) -> set[str]:
    """The fields that a query reads: its words without commands, texts, patterns and names that it defines."""
    bare = re.sub(r'"[^"]*"|/(?:[^/\\]|\\.)+/', "", query)
    given = set(re.findall(r"\bas (\w+)", bare))
    return set(re.findall(r"@?\b[A-Za-z_]\w*", bare)) - COMMANDS - given


@each_query
def test_every_field_in_a_query_is_logged(name: str) -> None:
    fields = _named(_query(name))
    assert fields
    assert fields - _logged() - OF_LOGS_INSIGHTS == set()


def test_an_unlogged_field_is_detected() -> None:
    assert _named('fields @timestamp, execution | filter level = "ERROR" and x like /a|b/') == {
        "@timestamp",
        "execution",
        "level",
        "x",
    }
    assert not {"execution", "x"} & _logged()


def test_every_message_in_a_query_is_logged() -> None:
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
    """The functions' log groups, by the functions' names; test_functions.py checks the template for them."""
    return {f"/aws/lambda/${{{function['LogicalId']}}}" for function in functions().values()}


@each_query
def test_a_query_reads_functions_logs_and_is_in_the_stacks_folder(name: str) -> None:
    properties = QUERIES[name]["Properties"]
    read = [group["Fn::Sub"] for group in properties["LogGroupNames"]]
    assert read and set(read) <= _groups() and len(set(read)) == len(read)
    assert properties["Name"]["Fn::Sub"].startswith("${AWS::StackName}/")


@pytest.mark.parametrize("name", ["ErrorsQuery", "ExecutionQuery"])
def test_system_wide_queries_read_every_functions_log(name: str) -> None:
    assert {group["Fn::Sub"] for group in QUERIES[name]["Properties"]["LogGroupNames"]} == _groups()
