"""Drives the stand-in with boto3: put, read, alarm, logs, SNS, SQS.

Prints one line for each thing that was checked; the test counts them.
"""
import datetime
import json
import sys
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

url = sys.argv[1]
config = botocore.config.Config(retries={"total_max_attempts": 1})


def client(name):
    return boto3.client(name, endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test", config=config)


def ok(what, holds):
    if not holds:
        sys.exit(f"FAILED: {what}")
    print("ok", what)


def advance(seconds):
    request = urllib.request.Request(f"{url}/_aws/clock?advance={seconds}s", method="POST")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["now"]


def code(call, **arguments):
    try:
        call(**arguments)
    except botocore.exceptions.ClientError as e:
        return e.response["Error"]["Code"]
    return "none"


cw, logs, sns, sqs = client("cloudwatch"), client("logs"), client("sns"), client("sqs")
with urllib.request.urlopen(f"{url}/_aws/clock") as answer:
    now = datetime.datetime.fromisoformat(json.load(answer)["now"].replace("Z", "+00:00")[:19] + "+00:00")
start = now.replace(second=0)

# Put and read.
dims = [{"Name": "Outcome", "Value": "admitted"}]
cw.put_metric_data(Namespace="Boto", MetricData=[
    {"MetricName": "Latency", "Dimensions": dims, "Timestamp": start, "Values": [float(n) for n in range(1, 101)], "Counts": [1.0] * 100, "StorageResolution": 1, "Unit": "Milliseconds"},
    {"MetricName": "Requests", "Dimensions": dims, "Timestamp": start, "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4}},
])
# More than 10,240 bytes: it is gzipped on the way.
cw.put_metric_data(Namespace="Boto", MetricData=[{"MetricName": f"Metric{n}", "Value": n} for n in range(1000)])
got = cw.get_metric_data(StartTime=start, EndTime=start + datetime.timedelta(minutes=5), ScanBy="TimestampAscending", MetricDataQueries=[
    {"Id": "p99", "MetricStat": {"Metric": {"Namespace": "Boto", "MetricName": "Latency", "Dimensions": dims}, "Period": 1, "Stat": "p99"}},
    {"Id": "s", "MetricStat": {"Metric": {"Namespace": "Boto", "MetricName": "Requests", "Dimensions": dims}, "Period": 60, "Stat": "Sum"}},
    {"Id": "e", "Expression": "s * 2"},
])["MetricDataResults"]
ok("percentile over Values", got[0]["Values"] == [99.0] and got[0]["Timestamps"] == [start])
ok("sum and expression", got[1]["Values"] == [10.0] and got[2]["Values"] == [20.0])
stats = cw.get_metric_statistics(Namespace="Boto", MetricName="Latency", Dimensions=dims, StartTime=start, EndTime=start + datetime.timedelta(minutes=1), Period=60, Statistics=["Average", "SampleCount"])
ok("statistics", stats["Datapoints"][0]["Average"] == 50.5 and stats["Datapoints"][0]["SampleCount"] == 100.0)
metrics = [m for page in cw.get_paginator("list_metrics").paginate(Namespace="Boto", RecentlyActive="PT3H") for m in page["Metrics"]]
ok("list, in pages", len(metrics) == 1002)
ok("too many values", code(cw.put_metric_data, Namespace="Boto", MetricData=[{"MetricName": "x", "Values": [1.0] * 151}]) == "InvalidParameterValue")
ok("a namespace of AWS", code(cw.put_metric_data, Namespace="AWS/EC2", MetricData=[{"MetricName": "x", "Value": 1}]) == "InvalidParameterValue")
ok("nothing to store", code(cw.put_metric_data, Namespace="Boto", MetricData=[{"MetricName": "x"}]) == "InvalidParameterCombination")

# A topic, a queue, an alarm.
topic = sns.create_topic(Name="boto")["TopicArn"]
queue = sqs.create_queue(QueueName="boto")["QueueUrl"]
arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps({"Statement": [{
    "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn, "Condition": {"ArnEquals": {"aws:SourceArn": topic}}}]})})
subscription = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)["SubscriptionArn"]
ok("a subscription", sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["PendingConfirmation"] == "false")
ok("mail waits", sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.com")["SubscriptionArn"] == "pending confirmation")
ok("both are listed", [s["SubscriptionArn"] for s in sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]] == [subscription, "PendingConfirmation"])
cw.put_metric_alarm(AlarmName="boto", Namespace="Boto", MetricName="Throttled", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=0,
                    ComparisonOperator="GreaterThanThreshold", TreatMissingData="notBreaching", AlarmActions=[topic])
ok("a new alarm", cw.describe_alarms(AlarmNames=["boto"])["MetricAlarms"][0]["StateValue"] == "INSUFFICIENT_DATA")
cw.put_metric_data(Namespace="Boto", MetricData=[{"MetricName": "Throttled", "Value": 3}])
advance(60)
alarm = cw.describe_alarms(AlarmNames=["boto"])["MetricAlarms"][0]
ok("the alarm rings", alarm["StateValue"] == "ALARM" and json.loads(alarm["StateReasonData"])["recentDatapoints"] == [3.0])
message = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"][0]
inner = json.loads(json.loads(message["Body"])["Message"])
ok("the notification", inner["NewStateValue"] == "ALARM" and inner["Trigger"]["MetricName"] == "Throttled" and inner["Trigger"]["Statistic"] == "SUM")
sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
ok("the queue is empty", "Messages" not in sqs.receive_message(QueueUrl=queue))
advance(1)
history = cw.describe_alarm_history(AlarmName="boto", HistoryItemType="Action")["AlarmHistoryItems"]
ok("the history", len(history) == 1 and history[0]["HistorySummary"] == f"Successfully executed action {topic}")
cw.put_alarm_mute_rule(Name="boto", Rule={"Schedule": {"Expression": "cron(* * * * *)", "Duration": "PT1H"}}, MuteTargets={"AlarmNames": ["boto"]})
ok("a mute rule", cw.list_alarm_mute_rules(AlarmName="boto")["AlarmMuteRuleSummaries"][0]["Status"] == "ACTIVE")
ok("an alarm that is not there", code(cw.set_alarm_state, AlarmName="none", StateValue="OK", StateReason="x") == "ResourceNotFound")
ok("a queue that is not there", code(sqs.get_queue_url, QueueName="none") == "AWS.SimpleQueueService.NonExistentQueue")
ok("a topic that is not there", code(sns.publish, TopicArn=topic + "x", Message="x") == "NotFound")

# Logs.
logs.create_log_group(logGroupName="/boto")
logs.create_log_stream(logGroupName="/boto", logStreamName="s")
stamp = int(start.timestamp() * 1000)
answer = logs.put_log_events(logGroupName="/boto", logStreamName="s", logEvents=[{"timestamp": stamp, "message": "first"}, {"timestamp": stamp + 1, "message": "second: 日本"}])
ok("events are taken", "rejectedLogEventsInfo" not in answer)
ok("events are read", [e["message"] for e in logs.get_log_events(logGroupName="/boto", logStreamName="s", startFromHead=True)["events"]] == ["first", "second: 日本"])
ok("events are found", [e["message"] for e in logs.filter_log_events(logGroupName="/boto", filterPattern="second")["events"]] == ["second: 日本"])
ok("a group twice", code(logs.create_log_group, logGroupName="/boto") == "ResourceAlreadyExistsException")

# Who am I, and throttled.
ok("an identity", client("sts").get_caller_identity()["Account"] == "000000000000")
request = urllib.request.Request(f"{url}/_aws/faults", data=b"PutMetricData: throttle; PutLogEvents: throttle; Publish: error; SendMessage: throttle", method="PUT")
urllib.request.urlopen(request).close()
ok("CloudWatch throttles", code(cw.put_metric_data, Namespace="Boto", MetricData=[{"MetricName": "x", "Value": 1}]) == "Throttling")
ok("Logs throttles", code(logs.put_log_events, logGroupName="/boto", logStreamName="s", logEvents=[{"timestamp": stamp, "message": "x"}]) == "ThrottlingException")
ok("SNS fails", code(sns.publish, TopicArn=topic, Message="x") == "InternalError")
ok("SQS throttles", code(sqs.send_message, QueueUrl=queue, MessageBody="x") == "RequestThrottled")
sqs.delete_queue(QueueUrl=queue)
ok("no queue is left", "QueueUrls" not in sqs.list_queues())
