from locust import HttpUser, constant, task


class Test(HttpUser):
    wait_time = constant(0.05)

    @task
    def index(self):
        self.client.get("/status/200", name="index")
