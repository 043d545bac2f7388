#!/usr/bin/env python3
"""CPU per request that a proxy adds, side by side in front of the same upstream.

    python3 bench/gate/cpu_per_request.py [--rounds 5] [--seconds 2] [--weir bin/weir]

A proxy's figure is the user and system time that its processes used during a
run of wrk, divided by the answers that wrk got. Machines are noisy, so the
proxies take turns, and the median is reported. The upstream (nginx, one worker,
`return 200`) and wrk run on core 0, the proxy on core 1.
"""
import argparse, os, pathlib, platform, re, shutil, signal, socket, statistics
import subprocess, sys, tempfile, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEAD = """
master_process off; daemon off; pid {dir}/pid; error_log {dir}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log {access}; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
"""
UPSTREAM = HEAD + """  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 "{body}"; }} }}
}}"""
PROXY = HEAD + """  limit_req_zone $binary_remote_addr zone=a:10m rate=1000000r/s;
  upstream api {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ {limit} proxy_http_version 1.1; proxy_set_header Connection ""; proxy_pass http://api; }} }}
}}"""
POLICY = """policies:
  - {name: per-client, key: request.ip, limit: 1000000, window: 1s, answer: ratelimit}
"""

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

class Program:
    def __init__(self, name, core, argv, port, env=None):
        self.name, self.port = name, port
        self.proc = subprocess.Popen(["taskset", "-c", str(core)] + argv, stdout=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        for _ in range(200):
            try:
                urllib.request.urlopen(self.url, timeout=2).read(); return
            except OSError:
                time.sleep(0.05)
        sys.exit(f"{name} did not start")

    url = property(lambda self: f"http://127.0.0.1:{self.port}/")

    def cpu(self):
        f = pathlib.Path(f"/proc/{self.proc.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        return int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{self.proc.pid}/status").read_text()).group(1)) / 1024

    def stop(self):
        self.proc.send_signal(signal.SIGTERM)
        try:
            self.proc.wait(10)
        except subprocess.TimeoutExpired:
            self.proc.kill(); self.proc.wait()

def measure(p, a):
    before = p.cpu()
    out = subprocess.run(["taskset", "-c", "0", "wrk", "-t1", f"-c{a.connections}", f"-d{a.seconds}s", p.url], capture_output=True, text=True, timeout=120).stdout
    used = p.cpu() - before
    n = int(re.search(r"(\d+) requests in", out).group(1))
    if "Non-2xx" in out or "Socket errors" in out:
        sys.exit(f"{p.name}: {out}")
    return used / n * 1e6, n / a.seconds

def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=int, default=2)
    ap.add_argument("--connections", type=int, default=32)
    ap.add_argument("--weir", default=str(ROOT / "bin/weir"))
    a = ap.parse_args()
    for exe in ("wrk", "taskset", "go"):
        if not shutil.which(exe):
            sys.exit(f"{exe} is not installed")
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    tmp = tempfile.mkdtemp(prefix="weir-bench-")
    running = []
    def start_nginx(name, core, text, **kw):
        d = pathlib.Path(tmp, name.replace(" ", "-")); d.mkdir(exist_ok=True)
        port = free_port()
        (d / "conf").write_text(text.format(dir=d, port=port, body="x" * 127, **{"access": "off", **kw}))
        running.append(Program(name, core, [nginx, "-p", str(d), "-c", str(d / "conf")], port))
        return running[-1]
    try:
        up = start_nginx("upstream", 0, UPSTREAM)
        plain = str(pathlib.Path(tmp, "plain"))
        subprocess.run(["go", "build", "-o", plain, "."], cwd=ROOT / "bench/gate", check=True, env=dict(os.environ, CGO_ENABLED="0"))
        policy = pathlib.Path(tmp, "policy.yaml"); policy.write_text(POLICY)
        def weir(name, *flags):
            port = free_port()
            p = Program(name, 1, [a.weir, "gate", "--policy", str(policy), "--upstream", up.url, "--listen", f"127.0.0.1:{port}", *flags], port)
            running.append(p)
            return p
        port = free_port()
        go_proxy = Program("httputil.ReverseProxy alone", 1, [plain, f"127.0.0.1:{port}", up.url], port)
        running.append(go_proxy)
        tools = [
            start_nginx("nginx proxy_pass", 1, PROXY, upstream=up.port, limit=""),
            start_nginx("nginx limit_req and proxy_pass", 1, PROXY, upstream=up.port, limit="limit_req zone=a burst=1000000 nodelay;"),
            start_nginx("nginx the same with access log", 1, PROXY, upstream=up.port, limit="limit_req zone=a burst=1000000 nodelay;", access=f"{tmp}/nginx.log"),
            go_proxy,
            weir("weir gate"),
            weir("weir gate with access log", "--access-log", f"{tmp}/weir.log"),
        ]
        cost, rate = {p.name: [] for p in tools}, {p.name: [] for p in tools}
        for p in tools:
            measure(p, argparse.Namespace(seconds=1, connections=a.connections))  # warm
        for r in range(a.rounds):
            for p in tools if r % 2 == 0 else tools[::-1]:
                us, n = measure(p, a)
                cost[p.name].append(us); rate[p.name].append(n)
                print(f"round {r+1}: {p.name:34s} {us:7.2f} us/request {n:9.0f} requests/s", file=sys.stderr, flush=True)
        base = statistics.median(cost[go_proxy.name])
        print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}; "
              f"{a.connections} connections, {a.seconds} s, {a.rounds} rounds\n")
        print("| proxy | us of CPU per request, median [min-max] | against ReverseProxy | requests/s on one core, median | peak memory, MB |\n|---|---|---|---|---|")
        for p in tools:
            x = cost[p.name]
            print(f"| {p.name} | {statistics.median(x):.1f} [{min(x):.1f}-{max(x):.1f}] | {statistics.median(x)/base:.2f} | {statistics.median(rate[p.name]):.0f} | {p.memory():.0f} |")
    finally:
        for p in reversed(running):
            p.stop()
        shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__":
    main()
