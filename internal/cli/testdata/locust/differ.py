"""What the differ test runs under Locust and under Weir."""
import time

from locust import HttpUser, User, constant_pacing, events, tag, task


class Visitor(HttpUser):
    weight = 3
    wait_time = constant_pacing(0.25)

    @task(3)
    def hello(self):
        self.client.get("/hello")

    @task
    def missing(self):
        self.client.get("/missing")

    @task
    def grouped(self):
        self.client.get("/item?id=7", name="/item?id=[id]")

    @task
    def judged(self):
        with self.client.post("/form", data={"a": "1, 2"}, catch_response=True) as answer:
            if answer.text != "no":
                answer.failure('the answer was "%s", not no' % answer.text)

    @task
    def limited(self):
        self.client.get("/limited")

    @tag("slow")
    @task
    def slow(self):
        self.client.get("/slow")


class Own(User):
    fixed_count = 1
    wait_time = constant_pacing(0.5)

    @task
    def call(self):
        events.request.fire(
            request_type="WORK", name="unit", response_time=7, response_length=12, exception=None, context={}, start_time=time.time(), url=None
        )

    @task
    def broken(self):
        {}["absent"]


class Quiet(HttpUser):
    weight = 1
    wait_time = constant_pacing(0.25)

    @tag("quiet")
    @task
    def quiet(self):
        self.client.get("/hello", name="quiet")
