"""local/cloudformation.py: expanding Fn::ForEach and merging nested stacks."""

from pathlib import Path
from typing import Any

import pytest

from local.cloudformation import TemplateError, load

LOOP = """
Mappings:
  Functions: {Api: {Name: api}, Dial: {Name: dial-out}}
Resources:
  Fn::ForEach::Groups:
    - Function
    - [Api, Dial]
    - ${Function}Group:
        Type: AWS::Logs::LogGroup
        Properties:
          LogGroupName: !Sub ["/${AWS::StackName}-${Name}", {Name: !FindInMap [Functions, !Ref Function, Name]}]
          Reference: {Ref: !Sub "${Function}Function"}
          Text: !Sub ["${Of}:live", {Of: {Ref: !Sub "${Function}Function"}}]
          Attribute: !GetAtt [!Sub "${Function}Function", Version.Version]
          Itself: !Ref Function
          Untouched: ${Function}
          Tags: {"${Function}": !Ref Topic}
"""
OUTER = """
Parameters: {Topic: {Type: String}}
Resources:
  Table: {Type: AWS::DynamoDB::Table}
  Monitoring:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: inner/monitoring.yaml
      Parameters: {Stack: !Ref AWS::StackName, Table: !GetAtt Table.Arn, Topic: !Ref Topic}
"""
INNER = """
Parameters: {Stack: {Type: String}, Table: {Type: String}, Topic: {Type: String}}
Conditions:
  HasTopic: !Not [!Equals [!Ref Topic, ""]]
Resources:
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Value: !Ref Table
      Other: !GetAtt Other.Arn
      Text: !Sub ${Stack} ${Table} ${AWS::Region} ${Other.Arn}
"""


def _load(folder: Path, outer: str, inner: str = INNER) -> dict[str, Any]:
    (folder / "inner").mkdir()
    (folder / "inner/monitoring.yaml").write_text(inner)
    (folder / "template.yaml").write_text(outer)
    return load(folder / "template.yaml")


def test_a_loop_creates_a_resource_for_each_item(tmp_path: Path) -> None:
    resources = _load(tmp_path, LOOP)["Resources"]
    assert list(resources) == ["ApiGroup", "DialGroup"]
    assert resources["DialGroup"]["Properties"] == {
        "LogGroupName": {"Fn::Sub": "/${AWS::StackName}-dial-out"},
        "Reference": {"Ref": "DialFunction"},
        "Text": {"Fn::Sub": "${DialFunction}:live"},
        "Attribute": {"Fn::GetAtt": "DialFunction.Version.Version"},
        "Itself": "Dial",
        "Untouched": "${Function}",
        "Tags": {"${Function}": {"Ref": "Topic"}},
    }


def test_a_nested_stacks_resources_are_merged_in_with_their_parameters(tmp_path: Path) -> None:
    document = _load(tmp_path, OUTER)
    assert set(document["Resources"]) == {"Table", "Alarm"}
    assert document["Conditions"] == {"HasTopic": {"Fn::Not": [{"Fn::Equals": [{"Ref": "Topic"}, ""]}]}}
    assert document["Resources"]["Alarm"]["Properties"] == {
        "Value": {"Fn::GetAtt": "Table.Arn"},
        "Other": {"Fn::GetAtt": "Other.Arn"},
        "Text": {"Fn::Sub": "${AWS::StackName} ${Table.Arn} ${AWS::Region} ${Other.Arn}"},
    }


@pytest.mark.parametrize(
    ("outer", "inner", "message"),
    [
        (OUTER.replace(", Topic: !Ref Topic", ""), INNER, "Monitoring must be given its parameters"),
        (OUTER, INNER.replace("Stack: {Type: String}, ", ""), "Monitoring must be given its parameters"),
        (OUTER + "    Condition: HasTopic\n", INNER, "and no condition"),
        (OUTER, INNER.replace("Alarm:", "Table:"), "Monitoring has another Table"),
        (OUTER + "Conditions: {HasTopic: !Equals [!Ref Topic, a]}\n", INNER, "Monitoring has another HasTopic"),
        (OUTER.replace("!GetAtt Table.Arn", "!Select [0, [a]]"), INNER, "neither text nor a reference"),
    ],
)
def test_an_undeployable_nested_stack_is_refused(tmp_path: Path, outer: str, inner: str, message: str) -> None:
    with pytest.raises(TemplateError, match=message):
        _load(tmp_path, outer, inner)
