#!/usr/bin/env python3
"""CPU per request of HTTP load generators, side by side on the same nginx.

    python3 bench/cpu_per_request.py [--rounds 5] [--seconds 2] [--weir bin/weir] [--k6 k6]

A tool's figure is the user and system time of its process tree, start-up
included, divided by the requests that nginx counted. Machines are noisy, so
each run of a tool stands between two runs of wrk, and what is reported is the
median of the ratios tool / mean(wrk before, wrk after).

nginx runs on core 0 with one worker, the generators on core 1. Needs nginx
(with stub_status), wrk and taskset; tools that are not installed are left out.
"""
import argparse, os, pathlib, platform, resource, shutil, signal, socket, statistics
import subprocess, sys, tempfile, time, urllib.request

CONF = """
worker_processes 1; worker_rlimit_nofile 50000; daemon off; pid {dir}/nginx.pid; error_log {dir}/error.log crit;
events {{ worker_connections 24000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /status {{ stub_status; }}
    location / {{ return 200 "{body}"; }}
  }}
}}
"""

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

class Nginx:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="weir-bench-")
        self.port = free_port()
        conf = pathlib.Path(self.dir, "nginx.conf")
        conf.write_text(CONF.format(dir=self.dir, port=self.port, body="x" * 127))
        exe = shutil.which("nginx") or "/usr/sbin/nginx"
        self.proc = subprocess.Popen(["taskset", "-c", "0", exe, "-c", str(conf), "-p", self.dir])
        for _ in range(100):
            try:
                self.requests(); return
            except OSError:
                time.sleep(0.05)
        sys.exit("nginx did not start")

    url = property(lambda self: f"http://127.0.0.1:{self.port}/")

    def requests(self):
        text = urllib.request.urlopen(self.url + "status", timeout=5).read().decode()
        return int(text.split("\n")[2].split()[2])

    def stop(self):
        self.proc.send_signal(signal.SIGTERM); self.proc.wait(10)
        shutil.rmtree(self.dir, ignore_errors=True)

def measure(nginx, argv):
    """Returns (microseconds of CPU per request, requests)."""
    before, c0 = nginx.requests(), resource.getrusage(resource.RUSAGE_CHILDREN)
    p = subprocess.run(["taskset", "-c", "1"] + argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=120)
    c1 = resource.getrusage(resource.RUSAGE_CHILDREN)
    n = nginx.requests() - before - 1  # our own look at /status
    if n <= 0:
        sys.exit(f"{argv[0]} sent nothing: {p.stderr.decode()[-500:]}")
    cpu = (c1.ru_utime + c1.ru_stime) - (c0.ru_utime + c0.ru_stime)
    return cpu / n * 1e6, n

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=int, default=2)
    ap.add_argument("--connections", type=int, default=64)
    ap.add_argument("--weir", default="bin/weir")
    ap.add_argument("--k6", default=shutil.which("k6") or "")
    a = ap.parse_args()
    for exe in ("wrk", "taskset"):
        if not shutil.which(exe):
            sys.exit(f"{exe} is not installed")
    if not os.access(a.weir, os.X_OK):
        sys.exit(f"{a.weir} is not there: make build")
    nginx = Nginx()
    tmp = tempfile.mkdtemp(prefix="weir-bench-")
    try:
        t, c = a.seconds, str(a.connections)
        wrk = ["wrk", "-t1", "-c" + c, f"-d{t}s", "--latency", nginx.url]
        tools = {
            "weir run URL -u N": [a.weir, "run", nginx.url, "-u", c, "-t", f"{t}s", "--out", "none", "--quiet"],
            "weir run, run file and report": [a.weir, "run", nginx.url, "-u", c, "-t", f"{t}s", "--out", f"{tmp}/r.weir", "--html", f"{tmp}/r.html", "--quiet"],
            "wrk (itself)": wrk,
        }
        if a.k6:
            script = pathlib.Path(tmp, "k6.js")
            script.write_text(f"import http from 'k6/http';\nexport default function () {{ http.get('{nginx.url}'); }}\n")
            tools["k6 run --vus N"] = [a.k6, "run", "-q", "--vus", c, "--duration", f"{t}s", str(script)]
        ratios, costs = {k: [] for k in tools}, {k: [] for k in tools}
        for r in range(a.rounds):
            for name, argv in tools.items():
                w0, _ = measure(nginx, wrk)
                us, n = measure(nginx, argv)
                w1, _ = measure(nginx, wrk)
                ratios[name].append(us / ((w0 + w1) / 2)); costs[name].append(us)
                print(f"round {r+1}: {name:32s} {us:7.2f} us/request  {n:8d} requests  wrk {w0:.2f} {w1:.2f}", file=sys.stderr, flush=True)
        print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
              f"{c} connections, {t} s, {a.rounds} rounds\n")
        print("| tool | ratio to wrk, median [min-max] | us of CPU per request, median (best) |\n|---|---|---|")
        for name in tools:
            x, y = ratios[name], costs[name]
            print(f"| {name} | {statistics.median(x):.2f} [{min(x):.2f}-{max(x):.2f}] | {statistics.median(y):.2f} ({min(y):.2f}) |")
    finally:
        nginx.stop(); shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__":
    main()
