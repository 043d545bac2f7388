#!/usr/bin/env python3
"""What telemetry costs the load: send lag and CPU with it off, on, and with a service that hangs.

Rounds take turns, off-on-hanging and then the other way round, so that a machine that is busy
for a while is busy for all three. Each round is a process of its own: CPU is what the kernel
counted for it. Needs python3 and go build ./cmd/weir.

    bench/telemetry.py [bin/weir] [rounds] [seconds]
"""
import json
import os
import re
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import threading

WEIR = sys.argv[1] if len(sys.argv) > 1 else "bin/weir"
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 6
SECONDS = int(sys.argv[3]) if len(sys.argv) > 3 else 10
RATE = 500
ENV = dict(os.environ, AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_REGION="us-east-1")


def serve(*args):
    p = subprocess.Popen([WEIR, "lab", *args, "--addr", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True, env=ENV)
    for line in p.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+", line):
            return p, found.group()
    sys.exit("telemetry: the stand-in did not start")


def hang():
    """A service that takes calls and never answers."""
    s = socket.create_server(("127.0.0.1", 0), backlog=64)
    kept = []

    def accept():
        while True:
            kept.append(s.accept()[0])

    threading.Thread(target=accept, daemon=True).start()
    return "http://127.0.0.1:%d" % s.getsockname()[1]


def once(target, endpoint, folder):
    out = os.path.join(folder, "r.json")
    args = [WEIR, "run", target + "/status/200", "--rate", f"{RATE}/s", "--for", f"{SECONDS}s", "--max-send-lag", "20s",
            "--json", out, "-o", os.path.join(folder, "r.weir"), "-q"]
    if endpoint:
        args += ["--cloudwatch", "live", "--cloudwatch-flush", "1s", "--cloudwatch-endpoint", endpoint, "--send-within", "0s"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(args, env=ENV, check=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(out) as f:
        lag = json.load(f)["offered"]["send_lag"]
    return lag["p50_ms"], lag["p99_ms"], 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


plain, target = serve("plain")
aws, endpoint = serve("aws")
ways = {"off": None, "on": endpoint, "hanging": hang()}
seen = {name: [] for name in ways}
try:
    with tempfile.TemporaryDirectory() as folder:
        for i in range(ROUNDS):
            for name in list(ways) if i % 2 == 0 else reversed(list(ways)):
                seen[name].append(once(target, ways[name], folder))
                for f in os.listdir(folder):
                    os.unlink(os.path.join(folder, f))
finally:
    for p in (plain, aws):
        p.terminate()
        p.wait()

print(f"{RATE} requests/s for {SECONDS} s, one flush a second, {ROUNDS} rounds of each, in turns")
print(f"{'':10}{'lag p50':>22}{'lag p99':>22}{'CPU of the process':>26}")
for name, list_ in seen.items():
    def figures(i, unit, digits):
        values = sorted(v[i] for v in list_)
        return f"{statistics.median(values):.{digits}f} ({values[0]:.{digits}f}–{values[-1]:.{digits}f}) {unit}"
    print(f"{name:10}{figures(0, 'ms', 3):>22}{figures(1, 'ms', 1):>22}{figures(2, 'ms', 0):>26}")
