#!/usr/bin/env python3
"""Memory per user: many users, each sending one request a second, on a loopback server.

    python3 bench/memory_per_user.py [--users 1,1000,5000,10000] [--weir bin/weir] [--k6 k6]

Reported is the peak resident memory of the generator, the same less the run
with one user divided by the users, and how long it took until all were there.
Tools that are not installed are left out. Needs nginx.
"""
import argparse, os, pathlib, platform, shutil, subprocess, sys, tempfile, time
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from cpu_per_request import Nginx

def peak_rss(argv):
    """Runs argv and returns its peak resident memory in bytes."""
    p = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(p.pid, 0)
    err = p.stderr.read().decode()
    if os.waitstatus_to_exitcode(status) not in (0, 1, 4, 99):
        sys.exit(f"{' '.join(argv)}: exit {os.waitstatus_to_exitcode(status)}: {err[-500:]}")
    return usage.ru_maxrss * 1024

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--users", default="1,1000,5000,10000")
    ap.add_argument("--seconds", type=int, default=8)
    ap.add_argument("--weir", default="bin/weir")
    ap.add_argument("--k6", default=shutil.which("k6") or "")
    a = ap.parse_args()
    counts = [int(x) for x in a.users.split(",")]
    nginx, tmp = Nginx(), tempfile.mkdtemp(prefix="weir-bench-")
    try:
        def weir(n):
            return [a.weir, "run", nginx.url, "-u", str(n), "-r", str(max(1, n // 2)), "--wait", "1s", "-t", f"{a.seconds}s", "--out", "none", "--quiet"]
        def k6(n):
            s = pathlib.Path(tmp, "k6.js")
            s.write_text(f"import http from 'k6/http'; import {{ sleep }} from 'k6';\nexport default function () {{ http.get('{nginx.url}'); sleep(1); }}\n")
            return [a.k6, "run", "-q", "--vus", str(n), "--duration", f"{a.seconds}s", str(s)]
        tools = {"weir": weir} | ({"k6": k6} if a.k6 else {})
        print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; one request a second per user, {a.seconds} s\n")
        print("| tool | users | peak memory, MB | KB per user |\n|---|---|---|---|")
        for name, argv in tools.items():
            base = None
            for n in counts:
                rss = peak_rss(argv(n))
                base = base or rss
                per = f"{(rss - base) / (n - counts[0]) / 1024:.1f}" if n > counts[0] else "-"
                print(f"| {name} | {n} | {rss / 1e6:.0f} | {per} |", flush=True)
    finally:
        nginx.stop(); shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__":
    main()
