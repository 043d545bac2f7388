"""The wire probe: what arrives at a server when a command runs shapes.py.

    python probe.py [--json FILE | --against http|fast] COMMAND…

COMMAND is what runs the locustfile, e.g. `locust -f shapes.py HttpProbe
--headless -u 1 -t 60s`, or the same with `weir locust`. `--host URL` is added,
and the folder is this one. Prints each request; with --json writes them to a
file. That is how golden-http.json and golden-fast.json came about, from Locust
2.47.0 (requests 2.34.2, geventhttpclient 2.6.1, Python 3.11) on 2026-11-22.
With --against, says what differs from these and is not in differences.json.
"""

import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "..", "..", "internal", "locust", "python", "tests"))

from http_echo import Echo  # noqa: E402


def neutral(head, body, port):
    """A request as text, without what is different each time: port, boundary."""
    text = (head + body).decode("latin-1").replace(":%d" % port, ":PORT")
    for boundary in set(re.findall(r"boundary=([0-9a-f]{32})", text)):
        text = text.replace(boundary, "BOUNDARY")
    return text


def collect(raw, port):
    """{label: [request, …]} of all that came."""
    found = {}
    for head, body in raw:
        target = head.decode("latin-1").split(" ")[1]
        found.setdefault(re.match(r"/?(\w+)", target).group(1), []).append(neutral(head, body, port))
    return found


def read(name):
    with open(os.path.join(HERE, name), encoding="utf-8") as file:
        return json.load(file)


def expected(kind):
    """What Locust sent, with the one difference that is in every request taken out."""
    return {label: [text.replace("gzip, deflate, br", "gzip, deflate") for text in texts] for label, texts in read("golden-%s.json" % kind).items()}


def against(kind, found):
    """Lines that say what is not as it should be."""
    want, listed = expected(kind), read("differences.json")[kind]
    lines = ["%s: Locust sends it, this does not" % label for label in want if label not in found]
    lines += ["%s: Locust does not send it" % label for label in found if label not in want]
    lines += ["%s: listed as different, and is not" % label for label in listed if found.get(label) == want.get(label)]
    for label, texts in want.items():
        if label in found and label not in listed and found[label] != texts:
            lines.append("%s:\n--- Locust\n%s\n--- this\n%s" % (label, "\n".join(texts), "\n".join(found[label])))
    return lines


def main():
    arguments = sys.argv[1:]
    file = kind = None
    if arguments[:1] == ["--json"]:
        file, arguments = arguments[1], arguments[2:]
    elif arguments[:1] == ["--against"]:
        kind, arguments = arguments[1], arguments[2:]
    if not arguments:
        sys.exit(__doc__)
    server = Echo()
    done = subprocess.run([*arguments, "--host", server.url], cwd=HERE)
    found = collect(server.raw, server.port)
    lines = []
    if file:
        with open(file, "w", encoding="utf-8") as out:
            json.dump(found, out, indent=1)
            out.write("\n")
    elif kind:
        lines = against(kind, found)
    else:
        lines = ["== %s\n%s" % (label, "\n".join(texts)) for label, texts in found.items()]
    for line in lines:
        print(line.replace("\r\n", "\n"))
    print("%d shapes, %d requests, exit code %d" % (len(found), sum(map(len, found.values())), done.returncode))
    if kind and (lines or done.returncode):
        sys.exit(1)


if __name__ == "__main__":
    main()
