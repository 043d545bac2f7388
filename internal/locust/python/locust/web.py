"""Only for scripts that import it: Weir's page is not extended by scripts, environment.web_ui is None."""


class WebUI:
    """Never made. environment.web_ui is None, and guards like `if environment.web_ui:` are passed by."""

    def __init__(self, *args, **kwargs):
        raise NotImplementedError("locust.web.WebUI cannot be used in Weir: environment.web_ui is None")


class _Routes:
    """Takes the routes that scripts from before Locust 1.0 add to web.app, and serves none."""

    def route(self, rule, **options):
        """Gives the function back as it is."""

        def keep(function):
            from ._weir.report import caller
            from ._weir.engine import engine

            engine.notice(f"the route {rule} is not served: Weir's page is not extended by scripts", *caller())
            return function

        return keep


app = _Routes()
