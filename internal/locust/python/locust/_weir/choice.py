"""Which way holds the users: decided from what the files import, before any of it is imported."""

import ast
import importlib.util
import os
import sys

# Of the standard library: what waits in the system without our loop knowing.
BLOCKING = frozenset(
    "asyncio concurrent ftplib http imaplib multiprocessing poplib queue select selectors smtplib socket socketserver ssl"
    " subprocess telnetlib threading urllib xmlrpc".split()
)
# Parts of those that only compute.
HARMLESS = ("urllib.parse", "urllib.error", "http.cookies", "http", "concurrent")
OURS = ("locust", "gevent")  # never looked for beside a script
# Packages that only compute, or that Weir stands in for.
QUIET = frozenset(
    "faker locust gevent greenlet dotenv yaml jwt pandas numpy pytz dateutil lxml bs4 pyquery jinja2 jsonschema"
    " pydantic cryptography orjson ujson simplejson toml tomli typing_extensions flask flask_login attr attrs marshmallow"
    " factory mimesis parsel ulid shortuuid colorama rich tabulate tqdm loguru structlog".split()
)


def importable(name):
    """Whether a package could be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def imports(path, seen):
    """The modules that a file imports, directly or through modules that lie beside it: (name, file, line)."""
    if path in seen:
        return
    seen.add(path)
    try:
        with open(path, "rb") as file:
            tree = ast.parse(file.read(), path)
    except (OSError, SyntaxError, ValueError):
        return  # loading it will say what is wrong
    folder = os.path.dirname(path)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level:
            names = ["." * node.level + (node.module or "")]
        for name in names:
            beside = None if name.partition(".")[0] in OURS else _beside(folder, name)
            if beside:
                yield from imports(beside, seen)
            else:
                yield name, path, node.lineno


def _beside(folder, name):
    base = folder
    while name.startswith(".."):
        base, name = os.path.dirname(base), name[1:]
    parts = name.lstrip(".").split(".")
    for root in (base, os.getcwd()):
        for length in range(len(parts), 0, -1):
            place = os.path.join(root, *parts[:length])
            for file in (place + ".py", os.path.join(place, "__init__.py")):
                if os.path.isfile(file):
                    return file
    return None


def blocks(name):
    """Whether a module may wait in the system."""
    top = name.partition(".")[0]
    if top in ("requests", "urllib3"):
        return importable(top)  # where it is not installed, Weir stands in for it
    if (
        top in QUIET
        or name in HARMLESS
        or name.startswith(("urllib.parse", "urllib.error", "http.cookies", "http.HTTPStatus"))
    ):
        return False
    if top in BLOCKING:
        return True
    standard = getattr(sys, "stdlib_module_names", None)
    if standard is not None:
        return top not in standard
    spec = importlib.util.find_spec(top) if importable(top) else None
    origin = getattr(spec, "origin", None) or ""
    return "site-packages" in origin or "dist-packages" in origin


def choose(files, wanted):
    """(way, why): wanted when something is, else the best that is there and fits what the files import."""
    greenlet, gevent = importable("greenlet"), importable("gevent")
    if wanted:
        missing = {"greenlet": not greenlet, "gevent": not gevent}.get(wanted, False)
        if missing:
            from .load import Exit

            raise Exit(1, f"--users-as={wanted}: the package {wanted} cannot be imported by {sys.executable}\n")
        return wanted, "asked for"
    seen = set()
    waiting = [(name, file, line) for path in files for name, file, line in imports(path, seen) if blocks(name)]
    if waiting:
        name, file, line = waiting[0]
        where = f"{os.path.basename(file)}:{line} imports {name}, which may wait by itself"
        if gevent:
            return "gevent", where
        return "baton", f"{where}, and gevent is not installed"
    if greenlet:
        return "greenlet", "greenlet is installed"
    return "baton", "greenlet is not installed"
