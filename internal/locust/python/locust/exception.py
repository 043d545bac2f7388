"""The exceptions by which user code steers a user, and those the clients raise."""


class LocustError(Exception):
    """Something in the locustfile is wrong."""


class ResponseError(Exception):
    """An answer was not what it had to be."""


class CatchResponseError(Exception):
    """What response.failure("text") records. Its text alone is shown in tables."""


class MissingWaitTimeError(LocustError):
    """There is no wait_time."""


class InterruptTaskSet(Exception):
    """Leaves a TaskSet for the one around it. reschedule: the outer one goes on at once, without its wait."""

    def __init__(self, reschedule=True):
        self.reschedule = reschedule


class StopTest(Exception):
    """Ends the whole test."""


class StopUser(Exception):
    """Ends the user that raises it."""


class RescheduleTask(Exception):
    """Ends the task as return would."""


class RescheduleTaskImmediately(Exception):
    """Ends the task; the next follows without waiting."""


class RPCError(Exception):
    """Only for scripts that name it: nothing here raises it."""


class RPCSendError(Exception):
    """Only for scripts that name it: nothing here raises it."""


class RPCReceiveError(Exception):
    """Only for scripts that name it: nothing here raises it."""

    def __init__(self, *args, addr=None):
        super().__init__(*args)
        self.addr = addr


class RunnerAlreadyExistsError(Exception):
    """Only for scripts that name it: nothing here raises it."""
