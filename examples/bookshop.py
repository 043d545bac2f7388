"""A bookshop, as a locustfile. bookshop.star is the same for Weir's own engine.

    weir locust -f examples/bookshop.py --headless -u 20 -r 5 -t 1m -H https://staging.example.com
"""
import random

from locust import HttpUser, between, tag, task


class Reader(HttpUser):
    weight = 4
    wait_time = between(0.2, 0.6)

    def on_start(self):
        answer = self.client.get("/header/X-Shelf/%d" % random.randint(1, 5), name="start")
        self.shelf = int(answer.headers["X-Shelf"])

    @tag("browse")
    @task(5)
    def look(self):
        self.client.get("/status/200?shelf=%d" % self.shelf, name="/shelf/[id]")

    @tag("buy")
    @task
    def order(self):
        with self.client.post("/status/201", json={"book": 7}, name="order", catch_response=True) as answer:
            if answer.status_code != 201:
                answer.failure("not ordered: %d" % answer.status_code)


class Clerk(HttpUser):
    fixed_count = 1
    wait_time = between(0.5, 1)

    @tag("browse")
    @task
    def stock(self):
        self.client.get("/bytes/2000", name="stock")
