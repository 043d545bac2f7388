"""A connector in the shape that Locust users have: event hooks that send every
request to CloudWatch, live or at the end. It stands beside a test file:

    locust -f locust_cw.py,test.py --live=True
"""
import datetime
import os
import queue
import time

import boto3
from locust import events, main, runners

NAMESPACE = "viassh/loadtests/locust"


class Connector:
    def __init__(self, environment):
        self.environment = environment
        self.live = str(environment.parsed_options.live) == "True"
        self.waiting = queue.Queue()
        self.cloudwatch = boto3.client(
            "cloudwatch", endpoint_url=os.environ["AWS_STANDIN"], region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        self.sent = 0

    def on_request(self, request_type, name, response_time, response_length, exception, **kwargs):
        self.waiting.put((request_type + " " + name, response_time, exception is None, self.environment.runner.user_count))
        if self.live and self.waiting.qsize() >= 50:
            self.flush()

    def flush(self):
        data = []
        while not self.waiting.empty():
            name, took, good, users = self.waiting.get()
            at = datetime.datetime.now(datetime.timezone.utc)
            dimensions = [{"Name": "Request", "Value": name}, {"Name": "Host", "Value": self.environment.host}]
            data.append({"MetricName": "ResponseTime", "Dimensions": dimensions, "Timestamp": at, "Value": took, "Unit": "Milliseconds"})
            data.append({"MetricName": "RequestCount", "Dimensions": dimensions, "Timestamp": at, "Value": 1, "Unit": "Count"})
            data.append({"MetricName": "UserCount", "Timestamp": at, "Value": users, "Unit": "Count"})
        for i in range(0, len(data), 900):
            self.cloudwatch.put_metric_data(Namespace=NAMESPACE, MetricData=data[i : i + 900])
        self.sent += len(data)


@events.init_command_line_parser.add_listener
def arguments(parser):
    parser.add_argument("--live", default="False", help="send while the test runs")


@events.init.add_listener
def connect(environment, runner, **kwargs):
    if isinstance(runner, runners.WorkerRunner):
        return
    connector = Connector(environment)
    environment.events.request.add_listener(connector.on_request)

    @environment.events.test_start.add_listener
    def started(**kwargs):
        print("live", connector.live, flush=True)

    @environment.events.quitting.add_listener
    def rest(environment, **kwargs):
        left = connector.waiting.qsize()
        connector.flush()
        print("Start CW Loop. left Queue :", left, " sent", connector.sent, "requests", environment.stats.total.num_requests, flush=True)


if __name__ == "__main__":
    main.main()
