#!/usr/bin/env python3
"""The same run, sent to CloudWatch by a connector in the shape of seed 003's and by Weir.

The connector hangs on a load tester's request event: each result becomes three or four data
of one value, five results make one PutMetricData and one PutLogEvents, and its deferred loop
pauses 0.1 s before each pair. This file does just that with boto3, so that both send the
results of one run of Weir to one stand-in. Needs python3 with boto3, and go build ./cmd/weir.
"""
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

WEIR = sys.argv[1] if len(sys.argv) > 1 else "bin/weir"
RATE, SECONDS = 500, int(sys.argv[2]) if len(sys.argv) > 2 else 6
PAUSE, BATCH = 0.1, 5
ENV = dict(os.environ, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1")


def serve(*args):
    p = subprocess.Popen([WEIR, "lab", *args, "--addr", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=ENV)
    for line in p.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return p, found.group()
    sys.exit("connector: the stand-in did not start")


class Connector:
    """Counts its calls; sends as the connectors' deferred loop does."""

    def __init__(self, url):
        kw = dict(endpoint_url=url, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
        self.metrics, self.logs, self.calls = boto3.client("cloudwatch", **kw), boto3.client("logs", **kw), 0
        self.logs.create_log_group(logGroupName="LocustTests")
        self.logs.create_log_stream(logGroupName="LocustTests", logStreamName="load-generator")

    def post(self, results):
        data, lines = [], []
        for r in results:
            dims = [{"Name": "Request", "Value": r["name"]}, {"Name": "Host", "Value": "http://127.0.0.1"}]
            at = r["at"]
            if r["outcome"] == "admitted":
                data += [
                    {"MetricName": "ResponseTime_ms", "Dimensions": dims, "Timestamp": at, "Value": r["ms"], "Unit": "Milliseconds"},
                    {"MetricName": "RequestCount", "Dimensions": dims, "Timestamp": at, "Value": 1, "Unit": "Count"},
                    {"MetricName": "ResponseSize_Bytes", "Dimensions": dims, "Timestamp": at, "Value": r["bytes"], "Unit": "Bytes"},
                ]
            else:
                data.append({"MetricName": "FailureCount", "Dimensions": dims, "Timestamp": at, "Value": 1, "Unit": "Count"})
            data.append({"MetricName": "UserCount", "Dimensions": dims, "Timestamp": at, "Value": 10, "Unit": "Count"})
            lines.append({"timestamp": int(at) * 1000, "message": f"[timestamp={at}] [response_time={r['ms']}]"})
        self.metrics.put_metric_data(Namespace="loadtests", MetricData=data)
        self.logs.put_log_events(logGroupName="LocustTests", logStreamName="load-generator", logEvents=lines)
        self.calls += 2

    def drain(self, queue):
        while len(queue) >= BATCH:
            time.sleep(PAUSE)
            self.post([queue.pop(0) for _ in range(BATCH)])
        return len(queue)


def main():
    dir = tempfile.mkdtemp()
    aws, url = serve("aws")
    target, base = serve("plain")
    try:
        run = [WEIR, "run", base + "/status/200", "--rate", f"{RATE}/s", "--for", f"{SECONDS}s", "-o", dir + "/r.weir", "--progress", "none",
               "--log", dir + "/hits.jsonl", "--max-send-lag", "20s", "--cloudwatch", "deferred", "--cloudwatch-endpoint", url, "--send-within", "0s"]
        subprocess.run(run, check=True, env=ENV, stdout=subprocess.DEVNULL)
        start = time.monotonic()
        out = subprocess.run([WEIR, "report", dir + "/r.weir", "--send"], check=True, env=ENV, capture_output=True, text=True)
        drained = time.monotonic() - start
        calls = sum(int(n) for n in re.findall(r"(\d+) calls? made", out.stdout + out.stderr))
        now, queue = time.time(), []
        for line in open(dir + "/hits.jsonl"):
            h = json.loads(line)
            queue.append({"name": h.get("name", "/"), "at": now, "ms": 1.0, "bytes": 100, "outcome": h.get("outcome", "admitted")})
        n = len(queue)
        c = Connector(url)
        start = time.monotonic()
        lost = c.drain(queue)
        took = time.monotonic() - start
        print(f"{n} results of {SECONDS} s, one stand-in")
        print(f"connector  {c.calls} calls, {took:.1f} s to drain, {lost} results never sent; {took / SECONDS:.1f} s for each second of load")
        print(f"weir       {calls} calls, {drained:.2f} s to drain, 0 results never sent; {drained / SECONDS:.3f} s for each second of load")
    finally:
        for p in (aws, target):
            p.send_signal(signal.SIGTERM)


main()
