"""Reading template.yaml for the local stack."""

from pathlib import Path

import pytest

from local import ROOT
from local.aws.functions import Function
from local.aws.queues import Queue
from local.aws.streams import StreamMapping
from local.cloudformation import TemplateError
from local.template import Route, StreamReader, Template, common_environment

SMALL = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
  Url: {Type: String, Default: ""}
  Needed: {Type: String}
Conditions:
  HasUrl: !Not [!Equals [!Ref Url, ""]]
  IsDev: !And [!Equals [!Ref Stage, dev], !Not [!Condition HasUrl]]
  Never: !Or [!Condition HasUrl, !Equals [a, b]]
Mappings:
  Sizes:
    dev: {memory: 256}
Globals:
  Function:
    Handler: handler.handler
    AutoPublishAlias: live
    MemorySize: !FindInMap [Sizes, !Ref Stage, memory]
    Environment:
      Variables: {TABLE_NAME: !Ref Table, STAGE: !Ref Stage}
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_IMAGE}
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
      Tags: !If [Never, [], !Ref AWS::NoValue]
  Uploads: {Type: AWS::S3::Bucket}
  Group: {Type: AWS::Scheduler::ScheduleGroup, Properties: {Name: !Sub "${AWS::StackName}-timers"}}
  Letters: {Type: AWS::SQS::Queue}
  Role: {Type: AWS::IAM::Role}
  Packages: {Type: AWS::Serverless::LayerVersion, Properties: {LayerName: !Ref AWS::StackName}}
  Optional: {Type: AWS::S3::Bucket, Condition: Never}
  DialFunction:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/dial/
      Timeout: 60
      Environment:
        Variables:
          ROLE_ARN: !GetAtt Role.Arn
          QUEUE_ARN: !GetAtt [Letters, Arn]
          QUEUE_URL: !Ref Letters
          LAYER: !Ref Packages
          SELF: !Ref OtherFunction.Alias
          JOINED: !Join ["-", [!Select [1, !Split [".", "a.b.c"]], !Ref AWS::Region]]
          TEXT: !Sub ["${x}/${Table}/${Group.Arn}/${!kept}", {x: !Ref Stage}]
          PICKED: !If [IsDev, "yes", "no"]
          PUBLIC_URL: !Ref Needed
          FLAG: false
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        MaximumEventAgeInSeconds: 300
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Letters.Arn}}
      Events:
        One: {Type: HttpApi, Properties: {Path: "/calls/{id}", Method: post}}
        Any: {Type: HttpApi, Properties: {Path: /calls, Method: "*"}}
        Rest: {Type: HttpApi}
        Often: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(5 minutes), Input: '{"a": 1}'}}
        Off: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day), State: DISABLED}}
  OtherFunction:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: functions/other, FunctionName: !Sub "${Stage}-other"}
"""


def template(tmp_path: Path, text: str = SMALL, **parameters: str) -> Template:
    path = tmp_path / "template.yaml"
    path.write_text(text)
    return Template(path, "stack", parameters)


def test_a_functions_settings_are_the_templates(tmp_path: Path) -> None:
    dial, other = template(tmp_path).functions({"PUBLIC_URL": "http://127.0.0.1:3000"})
    assert dial == Function(
        logical_id="DialFunction",
        name="stack-DialFunction",
        module="functions.dial.handler",
        attribute="handler",
        timeout_seconds=60,
        memory_mb=256,
        alias="live",
        retries=1,
        max_event_age_seconds=300,
        on_failure="arn:aws:sqs:us-east-1:123456789012:stack-Letters",
        environment={
            "TABLE_NAME": "stack-Table",
            "STAGE": "dev",
            "ROLE_ARN": "arn:aws:iam::123456789012:role/stack-Role",
            "QUEUE_ARN": "arn:aws:sqs:us-east-1:123456789012:stack-Letters",
            "QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/123456789012/stack-Letters",
            "LAYER": "arn:aws:lambda:us-east-1:123456789012:layer:stack:1",
            "SELF": "arn:aws:lambda:us-east-1:123456789012:function:dev-other:live",
            "JOINED": "b-us-east-1",
            "TEXT": "dev/stack-Table/arn:aws:scheduler:us-east-1:123456789012:schedule-group/stack-timers/${kept}",
            "PICKED": "yes",
            "PUBLIC_URL": "http://127.0.0.1:3000",
            "FLAG": "false",
        },
    )
    assert dial.alias_arn == "arn:aws:lambda:us-east-1:123456789012:function:stack-DialFunction:live"
    assert (other.name, other.module, other.timeout_seconds) == ("dev-other", "functions.other.handler", 3)
    assert (other.retries, other.max_event_age_seconds, other.on_failure) == (2, 21600, None)


def test_routes_and_recurring_schedules(tmp_path: Path) -> None:
    small = template(tmp_path, Needed="x")
    functions = small.functions({})
    dial = functions[0]
    routes = small.routes(functions)
    assert routes == [Route("POST", "/calls/{id}", dial), Route("ANY", "/calls", dial), Route("ANY", None, dial)]
    assert [route.key for route in routes] == ["POST /calls/{id}", "ANY /calls", "$default"]
    (often,) = small.recurring(functions)
    assert (often.name, often.seconds, often.event) == ("Often", 300, {"a": 1})


def test_tables_and_groups(tmp_path: Path) -> None:
    small = template(tmp_path)
    (table,) = small.tables()
    assert table.ttl_attribute == "expires_at"
    assert table.definition == {
        "TableName": "stack-Table",
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"},
    }
    assert (small.buckets(), small.schedule_groups()) == (["stack-uploads"], ["stack-timers"])


STREAMED = """
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
  Plain:
    Type: AWS::DynamoDB::Table
    Properties:
      KeySchema: [{AttributeName: pk, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: pk, AttributeType: S}]
  Tally:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/tally/
      Handler: handler.handler
      Events:
        Defaults:
          Type: DynamoDB
          Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST}
        Off:
          Type: DynamoDB
          Properties: {Stream: !GetAtt Table.StreamArn, StartingPosition: LATEST, Enabled: false}
        All:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt Table.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 1000
            MaximumBatchingWindowInSeconds: 5
            TumblingWindowInSeconds: 60
            ParallelizationFactor: 1
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: 3
            MaximumRecordAgeInSeconds: 3600
            FilterCriteria:
              Filters:
                - Pattern: '{"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "X#"}]}}}}'
                - Pattern: '{"eventName": ["REMOVE"]}'
"""


def test_event_source_mappings_of_streams(tmp_path: Path) -> None:
    streamed = template(tmp_path, STREAMED)
    functions = streamed.functions({})
    arn = "arn:aws:dynamodb:us-east-1:123456789012:table/stack-Table/stream/2026-01-01T00:00:00.000"
    assert streamed.stream_readers(functions) == [
        StreamReader("stack-Table", StreamMapping(functions[0], arn)),
        StreamReader(
            "stack-Table",
            StreamMapping(
                function=functions[0],
                stream_arn=arn,
                batch_size=1000,
                window_seconds=5,
                tumbling_seconds=60,
                filters=({"dynamodb": {"Keys": {"pk": {"S": [{"prefix": "X#"}]}}}}, {"eventName": ["REMOVE"]}),
                bisect=True,
                max_retries=3,
                max_age_seconds=3600,
            ),
        ),
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("BatchSize: 1000", "BatchSize: 0"), "BatchSize must be a number from 1 to 10000"),
        (("InSeconds: 60", "InSeconds: 901"), "TumblingWindowInSeconds must be a number from 0 to 900"),
        (("Factor: 1", "Factor: 2"), "ParallelizationFactor must be 1"),
        (("Factor: 1", "Factor: 1\n            DestinationConfig: {}"), "DestinationConfig is not supported"),
        (("Factor: 1", "Factor: 1\n            FunctionResponseTypes: [a]"), "FunctionResponseTypes is not supported"),
        (("TRIM_HORIZON", "AT_TIMESTAMP"), "StartingPosition must be"),
        (('{"prefix": "X#"}', '{"numeric": [">", 1]}'), "a filter pattern is not supported"),
        (('["REMOVE"]}', '["REMOVE"]'), "a filter pattern is not supported"),
        (("Table.StreamArn\n", "Plain.StreamArn\n"), "attribute StreamArn of Plain"),
        (("Table.StreamArn\n", "Table.Arn\n"), "is not the stream of a table"),
    ],
)
def test_a_mapping_that_is_not_emulated_is_an_error(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in STREAMED
    changed = template(tmp_path, STREAMED.replace(*change))
    with pytest.raises(TemplateError, match=said):
        changed.stream_readers(changed.functions({}))


QUEUES = """
Parameters:
  AtOnce: {Type: Number, Default: 7, MinValue: 2, MaxValue: 1000}
Resources:
  Letters: {Type: AWS::SQS::Queue}
  Plain:
    Type: AWS::SQS::Queue
    Properties: {RedrivePolicy: {deadLetterTargetArn: !GetAtt Letters.Arn, maxReceiveCount: 5}}
  Named:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub ${AWS::StackName}-named
      VisibilityTimeout: 60
      MessageRetentionPeriod: 900
      SqsManagedSseEnabled: true
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Letters.Arn, maxReceiveCount: 2}
  Reader:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/dial/
      Handler: handler.handler
      Timeout: 10
      Events:
        Defaults: {Type: SQS, Properties: {Queue: !GetAtt Plain.Arn, BatchSize: 1}}
        Off: {Type: SQS, Properties: {Queue: !GetAtt Plain.Arn, BatchSize: 1, Enabled: false}}
        All:
          Type: SQS
          Properties:
            Queue: !GetAtt Named.Arn
            BatchSize: 1
            ScalingConfig: {MaximumConcurrency: !Ref AtOnce}
"""


def test_queues_and_their_event_source_mappings(tmp_path: Path) -> None:
    queued = template(tmp_path, QUEUES)
    functions = queued.functions({})
    letters = "arn:aws:sqs:us-east-1:123456789012:stack-Letters"
    plain, named = queued.queues(functions)
    assert plain == Queue("stack-Plain", functions[0], 30, 4 * 24 * 3600, letters, max_receives=5)
    assert named == Queue("stack-named", functions[0], 60, 900, letters, max_receives=2, max_concurrency=7)
    assert named.arn == "arn:aws:sqs:us-east-1:123456789012:stack-named"
    assert named.url == "https://sqs.us-east-1.amazonaws.com/123456789012/stack-named"
    fewer = template(tmp_path, QUEUES, AtOnce="2")
    assert [queue.max_concurrency for queue in fewer.queues(fewer.functions({}))] == [None, 2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("BatchSize: 1\n", "BatchSize: 10\n"), "BatchSize must be 1"),
        (("BatchSize: 1\n", "FilterCriteria: {}\n"), "FilterCriteria is not supported"),
        (("QueueName", "FifoQueue: true\n      QueueName"), "FifoQueue is not supported"),
        (("!GetAtt Named.Arn", "arn:aws:sqs:us-east-1:123456789012:other"), "is not a queue of this template"),
        (("!GetAtt Named.Arn", "!Ref Named"), "is not a queue of this template"),
        (("VisibilityTimeout: 60", "VisibilityTimeout: 9"), "shorter than Reader's timeout"),
        (("!Ref AtOnce", "1"), "MaximumConcurrency must be a number from 2 to 1000"),
        (("{deadLetterTargetArn: !GetAtt Letters.Arn, maxReceiveCount: 2}", "{}"), "must name a queue"),
    ],
)
def test_a_queue_that_is_not_emulated_is_an_error(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    assert change[0] in QUEUES
    changed = template(tmp_path, QUEUES.replace(*change))
    with pytest.raises(TemplateError, match=said):
        changed.queues(changed.functions({}))


BUCKETS = """
Resources:
  FilesBucket:
    Type: AWS::S3::Bucket
    Properties:
      BucketEncryption:
        ServerSideEncryptionConfiguration: [{ServerSideEncryptionByDefault: {SSEAlgorithm: AES256}}]
      LifecycleConfiguration: {Rules: [{Status: Enabled, Prefix: uploads/, ExpirationInDays: 7}]}
  Named: {Type: AWS::S3::Bucket, Properties: {BucketName: !Sub "${AWS::StackName}-named"}}
  FilesBucketPolicy:
    Type: AWS::S3::BucketPolicy
    Properties:
      Bucket: !Ref FilesBucket
      PolicyDocument: {Statement: [{Effect: Deny, Resource: [!GetAtt FilesBucket.Arn, !Sub "${FilesBucket.Arn}/*"]}]}
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/api/
      Handler: handler.handler
      Environment:
        Variables: {BUCKET: !Ref FilesBucket, NAMED: !Ref Named, ARN: !GetAtt FilesBucket.Arn}
"""


def test_a_bucket_has_the_name_in_the_functions_environment(tmp_path: Path) -> None:
    with_buckets = template(tmp_path, BUCKETS)
    environment = with_buckets.functions({})[0].environment
    assert (
        with_buckets.buckets() == [environment["BUCKET"], environment["NAMED"]] == ["stack-filesbucket", "stack-named"]
    )
    assert environment["ARN"] == "arn:aws:s3:::stack-filesbucket"
    with_buckets.resolve(with_buckets._document["Resources"], "Resources")


def test_parameters_decide_conditions(tmp_path: Path) -> None:
    small = template(tmp_path, Needed="x", Url="https://calls.example.com")
    assert small.buckets() == ["stack-uploads", "stack-optional"]
    assert small.functions({})[0].environment["PICKED"] == "no"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("!Ref Stage}", "!Ref Missing}"), "refers to Missing"),
        (("!GetAtt Role.Arn", "!GetAtt Missing.Arn"), "refers to Missing"),
        (("!GetAtt Role.Arn", "!GetAtt Role.RoleId"), "attribute RoleId"),
        (("!GetAtt Role.Arn", "!ImportValue Elsewhere"), "Fn::ImportValue is not supported"),
        (("FLAG: false", "FLAG: [a, b]"), "is not a text"),
        (("rate(5 minutes)", "cron(0 12 * * * *)"), "only rate"),
    ],
)
def test_unsupported_parts_are_errors(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    changed = template(tmp_path, SMALL.replace(*change), Needed="x")
    with pytest.raises(TemplateError, match=said):
        changed.recurring(changed.functions({}))


def test_a_parameter_without_a_value_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match="parameter Needed has no default"):
        template(tmp_path).functions({})


def test_functions_that_disagree_on_a_setting_cannot_share_a_process() -> None:
    def function(name: str, url: str) -> Function:
        return Function(name, name, name, environment={"URL": url, name: "own"})

    assert common_environment([function("a", "x"), function("b", "x")]) == {"URL": "x", "a": "own", "b": "own"}
    with pytest.raises(TemplateError, match="URL is 'x' for a and 'y' for b"):
        common_environment([function("a", "x"), function("b", "y")])


def test_the_repositorys_template_is_supported() -> None:
    own = Template(ROOT / "template.yaml")
    functions = own.functions({})
    assert {function.module for function in functions} == {
        f"functions.{name}.handler"
        for name in ("api", "batch", "carrier_callback", "deliver", "dial", "sweep", "tally")
    }
    assert [route.key for route in own.routes(functions)].count("$default") == 1
    assert [one.function.module for one in own.recurring(functions)] == ["functions.sweep.handler"]
    assert [one.mapping.function.module for one in own.stream_readers(functions)] == ["functions.tally.handler"]
    read = {queue.name: queue.function.module for queue in own.queues(functions)}
    assert read == {
        "redial-local-DialQueue": "functions.dial.handler",
        "redial-local-DeliverQueue": "functions.deliver.handler",
    }
    assert own.tables() and own.schedule_groups() and own.buckets()
    own.resolve(own._resources, "Resources")
