"""What Locust has and this package has not: a message that names it, where Python would only say that an import failed."""

import opcode
import sys

from . import legacy

# Modules of Locust that are left out, and what to do instead.
MODULES = {
    "locust.contrib.postgres": "its user class for PostgreSQL",
    "locust.contrib.mongodb": "its user class for MongoDB",
    "locust.contrib.mqtt": "its user class for MQTT",
    "locust.contrib.milvus": "its user class for Milvus",
    "locust.contrib.qdrant": "its user class for Qdrant",
    "locust.contrib.socketio": "its user class for Socket.IO",
    "locust.contrib.oai": "its user class for OpenAI",
    "locust.contrib.dns": "its user class for DNS",
    "locust.opentelemetry": "its OpenTelemetry set-up (weir sends OTLP itself: --otlp)",
    "locust.dispatch": "its users dispatcher (Weir decides who is started when)",
    "locust.html": "its HTML report (Weir writes it: --html)",
    "locust.rpc.zmqrpc": "its master and worker protocol",
    "locust.pytestplugin": "its way to run pytest functions",
}


def attribute(name):
    """The __getattr__ of the package: pre-1.0 names by way of legacy, else an error that says what is missing."""
    found = sys.modules.get(f"locust.{name}") or legacy.name(name)  # a module that is being imported just now counts
    if found is not None:
        setattr(sys.modules["locust"], name, found)  # asked for once, the same ever after
        return found
    text = (
        f"locust.{name} is not something Weir knows. It follows Locust 2.47; docs/locust.md lists every name and whether it"
        " works, differs or is missing."
    )
    # `from locust import x` turns an AttributeError into a text without this explanation.
    frame = sys._getframe(1)
    if not name.startswith("__") and frame.f_code.co_code[frame.f_lasti] == opcode.opmap["IMPORT_FROM"]:
        raise ImportError(text, name="locust")
    raise AttributeError(text)


class MissingModules:
    """Last on sys.meta_path: explains imports of modules under locust that nobody has found."""

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("locust.") or fullname.startswith("locust._weir"):
            return None
        what = MODULES.get(fullname, "this module")
        advice = (
            " Write a User with a client of your own around the library, and report what it does with"
            " environment.events.request.fire: that works here."
            if fullname.startswith("locust.contrib.")
            else ""
        )
        raise ModuleNotFoundError(
            f"{fullname} is not part of Weir: of Locust it leaves out {what}.{advice} docs/locust.md lists every name.",
            name=fullname,
        )
