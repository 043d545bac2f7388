#!/usr/bin/env python3
"""CPU per request, memory per user and reported times of one locustfile, under
Locust and under Weir, side by side on the same server.

    python3 bench/locust/cost.py [--rounds 3] [--seconds 3] [--users 100] [--weir bin/weir] [--locust .cache/locust/bin/locust]

A figure is the user and system time of a tool's processes over a few seconds in
the middle of a run, divided by the requests that nginx counted in them: what
starting costs is not in it. Tools take turns, round by round, and the median of
the ratios within a round is told, because machines are noisy.

Needs nginx with stub_status, Locust in a virtual environment, and weir.
"""

import argparse
import csv
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

CONF = """
worker_processes 1; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log crit;
events {{ worker_connections 8000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    root {dir};
    location = /status {{ stub_status; }}
    location = /hello {{ default_type application/json; return 200 '{{"hello":"world"}}'; }}
    location = /big {{ }}
  }}
}}
"""

SCRIPT = """
from locust import {base}, task, constant

class Bench({base}):
    wait_time = constant({wait})

    @task
    def get(self):
        self.client.get("{path}")
"""

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Nginx:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="weir-bench-")
        self.port = free_port()
        pathlib.Path(self.dir, "big").write_bytes(b"x" * 65536)
        os.chmod(self.dir, 0o755)
        conf = pathlib.Path(self.dir, "nginx.conf")
        conf.write_text(CONF.format(dir=self.dir, port=self.port))
        self.proc = subprocess.Popen([shutil.which("nginx") or "/usr/sbin/nginx", "-c", str(conf), "-p", self.dir])
        for _ in range(100):
            try:
                self.requests()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("nginx did not start")

    url = property(lambda self: f"http://127.0.0.1:{self.port}")

    def requests(self):
        text = urllib.request.urlopen(self.url + "/status", timeout=5).read().decode()
        return int(text.split("\n")[2].split()[2])

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        self.proc.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)


def tree(pid):
    """A process and all below it."""
    found = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in task.read_text().split():
                found += tree(int(child))
        except OSError:
            pass
    return found


def cpu(pids):
    """Seconds of CPU, by the name of the program."""
    spent = {}
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        name = text[text.index("(") + 1 : text.rindex(")")]
        fields = text[text.rindex(")") + 2 :].split()
        spent[name] = spent.get(name, 0) + (int(fields[11]) + int(fields[12])) / TICK
    return spent


def memory(pids):
    """Kilobytes, shared pages by their share."""
    total = 0
    for pid in pids:
        try:
            for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n"):
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


class Tools:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        python = str(pathlib.Path(args.locust).with_name("python"))
        weir = [args.weir, "run"]
        self.all = {
            "Locust HttpUser": (lambda f, u, t: [args.locust, "-f", f, "--headless", "-u", u, "-r", u, "-t", t, "--only-summary"], "HttpUser"),
            "Locust FastHttpUser": (lambda f, u, t: [args.locust, "-f", f, "--headless", "-u", u, "-r", u, "-t", t, "--only-summary"], "FastHttpUser"),
        }
        for way in args.ways.split(","):
            self.all[f"weir run, {way}"] = (
                lambda f, u, t, way=way: [*weir, f, "-u", u, "-t", t, "--out", "none", "-q", "--users-as", way, "--python", python],
                "HttpUser",
            )
        self.all["weir locust, greenlet"] = (
            lambda f, u, t: [args.weir, "locust", "-f", f, "--headless", "-u", u, "-r", u, "-t", t, "--only-summary", "--users-as=greenlet", "--python=" + python],
            "HttpUser",
        )

    def start(self, name, host, path, users, seconds, wait=0, more=""):
        command, base = self.all[name]
        file = pathlib.Path(self.folder, f"{base.lower()}_{path.strip('/').replace('/', '_')}_{wait}.py")
        file.write_text(SCRIPT.format(base=base, path=path, wait=wait))
        line = command(str(file), str(users), f"{seconds}s")
        env = dict(os.environ, LOCUST_HOST=host)
        if line[1] == "run":
            line += ["--host", host]
        if more:
            line += ["--json", more] if line[1] == "run" else ["--csv", more]
        return subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env, text=True, cwd=self.folder)


def measure(tools, name, nginx, path, users, seconds, wait=0):
    warm = 2.5
    p = tools.start(name, nginx.url, path, users, round(warm + seconds + 1.5), wait)
    time.sleep(warm)
    pids = tree(p.pid)
    c0, n0, t0 = cpu(pids), nginx.requests(), time.time()
    time.sleep(seconds)
    c1, n1, t1 = cpu(pids), nginx.requests(), time.time()
    kb = memory(pids)
    _, err = p.communicate(timeout=60)
    n = n1 - n0 - 1
    if n < 50:
        sys.exit(f"{name}: only {n} requests in {seconds} s\n{err[-2000:]}")
    parts = {k: (c1[k] - c0.get(k, 0)) / n * 1e6 for k in c1}
    return sum(parts.values()), n / (t1 - t0), parts, kb


def table(args, tools, nginx, path, users):
    figures = {name: [] for name in tools.all}
    for _ in range(args.rounds):
        for name in tools.all:
            figures[name].append(measure(tools, name, nginx, path, users, args.seconds))
    print(f"\n{users} users, GET {path}, no wait; {args.rounds} rounds of {args.seconds} s\n")
    print("| tool | us of CPU per request, median (best) | of it | requests/s | HttpUser costs | FastHttpUser costs |")
    print("|---|---|---|---|---|---|")
    for name, runs in figures.items():
        cost = [r[0] for r in runs]
        ratios = []
        for base in ("Locust HttpUser", "Locust FastHttpUser"):
            ratios.append(statistics.median(b[0] / r[0] for b, r in zip(figures[base], runs)))
        last = runs[len(runs) // 2][2]
        split = ", ".join(f"{k} {v:.0f}" for k, v in sorted(last.items()) if v > 0.5)
        print(f"| {name} | {statistics.median(cost):.0f} ({min(cost):.0f}) | {split} | {statistics.median(r[1] for r in runs):.0f} | {ratios[0]:.1f}x | {ratios[1]:.2f}x |", flush=True)


def memories(args, tools, nginx):
    few, many = 10, args.memory
    print(f"\nMemory per user: {many} users against {few}, each waiting 1 s between requests\n")
    print("| tool | MB with 10 users | MB with %d | KB per user |" % many)
    print("|---|---|---|---|")
    for name in tools.all:
        a = measure(tools, name, nginx, "/hello", few, 9, wait=1)[3]
        b = measure(tools, name, nginx, "/hello", many, 6, wait=1)[3]
        print(f"| {name} | {a / 1024:.0f} | {b / 1024:.0f} | {(b - a) / (many - few):.1f} |", flush=True)


def slow(args, tools):
    """What a server that answers in 5 ms is said to take."""
    port = free_port()
    lab = subprocess.Popen([args.weir, "lab", "plain", "--addr", f"127.0.0.1:{port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        print("\nA server that answers in 5 ms, %d users who wait 60 ms: what is reported\n" % args.users)
        print("| tool | p50, ms | p99, ms |")
        print("|---|---|---|")
        for name in tools.all:
            out = tempfile.mktemp(dir=tools.folder)
            line = tools.start(name, f"http://127.0.0.1:{port}", "/delay/5ms", args.users, 5, wait=0.06, more=out)
            line.communicate(timeout=60)
            if name.startswith("weir run"):
                found = json.loads(pathlib.Path(out).read_text())["outcomes"]["admitted"]["response"]
                p50, p99 = found["p50_ms"], found["p99_ms"]
            else:
                row = next(r for r in csv.DictReader(open(out + "_stats.csv")) if r["Name"] == "Aggregated")
                p50, p99 = float(row["50%"]), float(row["99%"])
            print(f"| {name} | {p50:.1f} | {p99:.1f} |", flush=True)
    finally:
        lab.terminate()
        lab.wait(10)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=3)
    p.add_argument("--users", type=int, default=100)
    p.add_argument("--memory", type=int, default=1000)
    p.add_argument("--weir", default="bin/weir")
    p.add_argument("--locust", default=".cache/locust/bin/locust")
    p.add_argument("--only", default="", help="a part of the names of the tools to run, beside Locust's: weir run")
    p.add_argument("--ways", default="baton,greenlet,gevent")
    p.add_argument("--parts", default="small,big,slow,memory")
    args = p.parse_args()
    args.weir, args.locust = os.path.abspath(args.weir), os.path.abspath(args.locust)
    folder = tempfile.mkdtemp(prefix="weir-bench-locust-")
    nginx = Nginx()
    try:
        tools = Tools(args, folder)
        if args.only:
            tools.all = {k: v for k, v in tools.all.items() if k.startswith("Locust") and "memory" not in args.parts or args.only in k}
        parts = args.parts.split(",")
        if "small" in parts:
            table(args, tools, nginx, "/hello", args.users)
        if "big" in parts:
            table(args, tools, nginx, "/big", args.users)
        if "slow" in parts:
            slow(args, tools)
        if "memory" in parts:
            memories(args, tools, nginx)
    finally:
        nginx.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
