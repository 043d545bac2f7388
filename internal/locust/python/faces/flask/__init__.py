"""Only so that scripts which extend Locust's page can be loaded: Weir's page is not extended, none of this is called."""


class Blueprint:
    """Takes routes and serves none."""

    def __init__(self, *args, **kwargs):
        pass

    def route(self, rule, **options):
        return lambda function: function

    before_request = after_request = errorhandler = lambda self, *args, **kwargs: args[0] if args else None


class Flask(Blueprint):
    """As Blueprint."""

    def register_blueprint(self, *args, **kwargs):
        """Does nothing."""


class _Request:
    """A request that never came."""

    method = "GET"
    args = form = headers = cookies = {}


request = _Request()
session = {}
g = _Request()
current_app = Flask()


def _unused(*args, **kwargs):
    raise RuntimeError("Weir's page is not extended by scripts: install Flask to use it for something else")


redirect = url_for = make_response = jsonify = render_template = render_template_string = _unused
send_from_directory = send_file = abort = flash = _unused


class Response:
    """A response nobody gets."""

    def __init__(self, *args, **kwargs):
        self.headers = {}
