"""Only so that scripts which extend Locust's page can be loaded: Weir's page is not extended, none of this is called."""


class UserMixin:
    """Nothing but a base."""


class LoginManager:
    """Keeps nothing."""

    def __init__(self, *args, **kwargs):
        pass

    def init_app(self, app):
        """Does nothing."""

    def user_loader(self, function):
        """Gives the function back."""
        return function


class _Nobody:
    is_authenticated = False


current_user = _Nobody()


def login_required(function):
    """Gives the function back."""
    return function


def login_user(*args, **kwargs):
    """Nobody logs in."""
    return False


logout_user = login_user
