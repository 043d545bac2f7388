"""Prints which names of names.json there are, and which there are not.

Run by the test of docs/locust.md under Weir, and by hand under Locust.
"""
import importlib
import json
import os

from locust import FastHttpUser, HttpUser, LoadTestShape, TaskSet, events, task
from locust.event import EventHook
from locust.stats import StatsError



def shape():
    class Shape(LoadTestShape):  # at the top it would be that of the test
        def tick(self):
            return None

    return Shape()


objects = {
    "locust.LoadTestShape": shape(),
    "locust.event.EventHook": EventHook(),
    "locust.stats.StatsError": StatsError("GET", "/", "error"),
}


def look_up(path):
    """The module, class or function of a dotted name."""
    parts = path.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ImportError:
            continue
        for part in parts[n:]:
            found = getattr(found, part)
        return found
    raise ImportError(path)


def is_there(home, name):
    try:
        if home in objects and hasattr(objects[home], name):
            return True
        look_up(name if home == "modules" else home + "." + name)
    except Exception:
        return False
    return True


@events.init.add_listener
def environment_is_there(environment, runner, **kwargs):
    objects["locust.env.Environment"] = environment
    objects["locust.runners.Runner"] = runner
    objects["locust.stats.RequestStats"] = environment.stats
    objects["locust.stats.StatsEntry"] = environment.stats.total
    objects["locust.event.Events"] = environment.events


def report(environment):
    with open(os.environ["NAMES"]) as file:
        homes = json.load(file)
    found = {home: [name for name in names if is_there(home, name)] for home, names in homes.items()}
    print("NAMES " + json.dumps(found), flush=True)
    environment.runner.quit()


class Set(TaskSet):
    @task
    def nothing(self):
        pass


class Looker(HttpUser):
    fixed_count = 1

    @task
    def look(self):
        objects["locust.User"] = objects["locust.HttpUser"] = self
        objects["locust.TaskSet"] = Set(self)
        objects["locust.clients.HttpSession"] = self.client
        with self.client.get("/status/200", catch_response=True) as response:
            objects["locust.clients.ResponseContextManager"] = response
        Fast.host = self.host
        fast = Fast(self.environment)
        objects["locust.FastHttpUser"] = fast
        objects["locust.contrib.fasthttp.FastHttpSession"] = fast.client
        objects["locust.contrib.fasthttp.FastResponse"] = fast.client.get("/status/200")
        with fast.client.get("/status/200", catch_response=True) as response:
            objects["locust.contrib.fasthttp.ResponseContextManager"] = response
        with fast.rest("GET", "/status/200") as response:
            objects["locust.contrib.fasthttp.RestResponseContextManager"] = response
            response.success()
        report(self.environment)


class Fast(FastHttpUser):
    abstract = True
