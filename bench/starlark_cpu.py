#!/usr/bin/env python3
"""What a step in Starlark costs beside the same step in Go, on the real sender.

    make build && python3 bench/starlark_cpu.py [--rounds 7] [--requests 60000] [--idle 1000,10000]

bench/steps has the same user in both. The figure is the user and system time of
the generator (rusage), less that of a run of one request, divided by the requests:
closed loop, 32 users, nginx on core 0, the generator on core 1 with GOMAXPROCS=1.
The two take turns, and what is reported is the median of the ratios of neighbours.

Then the memory of idle users: peak resident memory of the generator with N users
that log in, make a request and wait, less that with 1 user, per user. Each holds a
connection, a cookie and a header. The first column is "weir run URL" with as many
users, which hold a connection and nothing else. Peaks hold garbage, too: a collector
that runs at twice the live heap shows up to twice what users hold. What they hold is
measured by TestMemoryOfIdleUsers, in package weir and in internal/script.
--gogc 10 shows nearly the same. Needs nginx and taskset.
"""
import argparse, os, pathlib, platform, resource, shutil, statistics, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import cpu_per_request

HERE = pathlib.Path(os.path.dirname(os.path.abspath(__file__)))
BODY = '{\\"id\\": 17, \\"phone_number\\": \\"09012345678\\", \\"created\\": \\"2026-11-21T12:00:00Z\\", \\"token\\": \\"0123456789abcdef\\"}'
cpu_per_request.CONF = cpu_per_request.CONF.replace('location / {{ return 200 "{body}"; }}', '''default_type application/json;
    location = /login {{ add_header Set-Cookie "csrftoken=0123456789abcdef0123456789abcdef; Path=/"; return 200 "{{}}"; }}
    location / {{ return 200 "%s"; }}''' % BODY.replace("{", "{{").replace("}", "}}"))

def run(argv, url, step, **extra):
    """Returns (seconds of CPU, peak resident bytes)."""
    env = dict(os.environ, STEP=step, TARGET=url.rstrip("/"), GOMAXPROCS="1", **extra)
    p = subprocess.Popen(["taskset", "-c", "1"] + argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    err = p.stderr.read().decode()
    _, status, usage = os.wait4(p.pid, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 4):  # 4: the generator was late; the CPU counts all the same
        sys.exit(f"{' '.join(argv)}: exit {os.waitstatus_to_exitcode(status)}: {err[-500:]}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--requests", type=int, default=60000)
    ap.add_argument("--steps", default="get,post")
    ap.add_argument("--idle", default="1000,10000")
    ap.add_argument("--gogc", default="100", help="garbage collector: 10 runs it so often that a peak is hardly more than what is held")
    ap.add_argument("--weir", default="bin/weir")
    a = ap.parse_args()
    if not os.access(a.weir, os.X_OK):
        sys.exit(f"{a.weir} is not there: make build")
    tmp = tempfile.mkdtemp(prefix="weir-bench-")
    nginx = cpu_per_request.Nginx()
    try:
        program = f"{tmp}/steps"
        subprocess.run(["go", "build", "-o", program, "./bench/steps"], check=True, cwd=HERE.parent)
        langs = {"Go": [program], "Starlark": [os.path.abspath(a.weir), "run", str(HERE / "steps" / "steps.star")]}
        common = ["--out", "none", "--quiet", "--yes"]
        print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; GOMAXPROCS=1, 32 users, {a.requests} requests, {a.rounds} rounds\n")
        print("| step | Go, us of CPU per request, median (best) | Starlark | ratio, median [min-max] |\n|---|---|---|---|")
        for step, what in [x for x in (("get", "GET"), ("post", "POST, JSON both ways, a check")) if x[0] in a.steps.split(",")]:
            cost = {k: [] for k in langs}
            for r in range(a.rounds):
                for k in (list(langs) if r % 2 == 0 else list(langs)[::-1]):
                    base, _ = run(langs[k] + common + ["-u", "1", "-n", "2"], nginx.url, step)
                    cpu, _ = run(langs[k] + common + ["-u", "32", "-n", str(a.requests)], nginx.url, step)
                    cost[k].append((cpu - base) / a.requests * 1e6)
            ratio = [s / g for s, g in zip(cost["Starlark"], cost["Go"])]
            cell = lambda x: f"{statistics.median(x):.2f} ({min(x):.2f})"
            print(f"| {what} | {cell(cost['Go'])} | {cell(cost['Starlark'])} | {statistics.median(ratio):.2f} [{min(ratio):.2f}-{max(ratio):.2f}] |", flush=True)
        print(f"\nGOGC={a.gogc}\n\n| idle users | weir run URL, KB per user | Go | Starlark |\n|---|---|---|---|")
        for n in [int(x) for x in a.idle.split(",") if x]:
            row = []
            for k in ["URL", *langs]:
                argv = langs.get(k, [os.path.abspath(a.weir), "run", nginx.url + "x", "--wait", "1h"]) + common + ["-t", f"{3 + n // 2500}s", "-s", "1s", "-r", "2500"]
                one, many = ([run(argv + ["-u", str(u)], nginx.url, "idle", GOGC=a.gogc)[1] for _ in range(3)] for u in (1, n))
                row.append(f"{(statistics.median(many) - statistics.median(one)) / (n - 1) / 1024:.1f}")
            print(f"| {n} | {' | '.join(row)} |", flush=True)
    finally:
        nginx.stop(); shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__":
    main()
