"""Limiters of PyPI, one at a time: python app.py PORT KIND FIGURES...

FIGURES are counts and seconds as each kind below names them. uvicorn serves what is
asynchronous, and Django; waitress serves Flask. Both keep connections open.
"""
import sys
from datetime import timedelta

import uvicorn

port, kind = int(sys.argv[1]), sys.argv[2]
figures = sys.argv[3:]


def plain(allow):
    """The smallest application: 200 or 429, by what allow says."""

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        await send({"type": "http.response.start", "status": 200 if await allow() else 429, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    return app


def flask_limiter(strategy, *limits):
    """strategy, "12 per 3 second", more of them"""
    from flask import Flask
    from flask_limiter import Limiter
    from flask_limiter.util import get_remote_address

    app = Flask(__name__)
    limiter = Limiter(get_remote_address, app=app, strategy=strategy, storage_uri="memory://")

    @app.get("/")
    @limiter.limit(";".join(limits))
    def index():
        return "ok"

    return app


def slowapi(text):
    """ "12/3 second" """
    from slowapi import Limiter, _rate_limit_exceeded_handler
    from slowapi.errors import RateLimitExceeded
    from slowapi.util import get_remote_address
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    limiter = Limiter(key_func=get_remote_address)

    @limiter.limit(text)
    async def index(request: Request):
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/", index)])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    return app


def django_app(view, **more):
    import django
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.urls import path

    settings.configure(
        DEBUG=False, SECRET_KEY="none", ALLOWED_HOSTS=["*"], ROOT_URLCONF="urls", USE_TZ=True,
        CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}, **more,
    )
    django.setup()
    urls = type(sys)("urls")
    urls.urlpatterns = [path("", view())]
    sys.modules["urls"] = urls
    return get_asgi_application()


def django_ratelimit(rate):
    """12/3s"""

    def view():
        from django.http import HttpResponse
        from django_ratelimit.core import is_ratelimited

        def index(request):
            over = is_ratelimited(request, group="all", key="ip", rate=rate, increment=True)
            return HttpResponse("ok", status=429 if over else 200)

        return index

    return django_app(view, SILENCED_SYSTEM_CHECKS=["django_ratelimit.E003", "django_ratelimit.W001"])


def drf(limit, window):
    """limit, window: what SimpleRateThrottle makes of a rate"""

    def view():
        from rest_framework.response import Response
        from rest_framework.throttling import AnonRateThrottle
        from rest_framework.views import APIView

        class Throttle(AnonRateThrottle):
            rate = "any"

            def parse_rate(self, rate):
                return int(limit), int(window)

        class Index(APIView):
            throttle_classes = [Throttle]
            authentication_classes = []
            permission_classes = []

            def get(self, request):
                return Response("ok")

        return Index.as_view()

    return django_app(view, INSTALLED_APPS=["rest_framework"], REST_FRAMEWORK={"UNAUTHENTICATED_USER": None, "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]})


def aiolimiter(limit, window):
    """limit, window"""
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(float(limit), float(window))

    async def allow():
        if not limiter.has_capacity():
            return False
        await limiter.acquire()
        return True

    return plain(allow)


def pyrate_limiter(*rates):
    """limit, window in milliseconds, of each rate"""
    from pyrate_limiter import Limiter, Rate

    n = list(map(int, rates))
    limiter = Limiter([Rate(n[i], n[i + 1]) for i in range(0, len(n), 2)])

    async def allow():
        return limiter.try_acquire("all", blocking=False)

    return plain(allow)


def django_smart_ratelimit(algorithm, rate):
    """algorithm, 12/s or 12/3s"""

    def view():
        from django.http import HttpResponse
        from django_smart_ratelimit import rate_limit

        @rate_limit(key="all", rate=rate, algorithm=algorithm, backend="memory")
        def index(request):
            return HttpResponse("ok")

        return index

    return django_app(view, RATELIMIT_BACKEND="memory", SILENCED_SYSTEM_CHECKS=["django_smart_ratelimit.W001"])


def asgi_ratelimit(redis_port, second, block="0"):
    """port of a Redis, requests a second, [seconds of ban]"""
    from ratelimit import RateLimitMiddleware, Rule
    from ratelimit.backends.redis import RedisBackend
    from redis.asyncio import StrictRedis

    async def allow():
        return True

    async def everybody(scope):
        return "all", "default"

    rule = Rule(second=int(second), block_time=int(block) or None)
    return RateLimitMiddleware(plain(allow), everybody, RedisBackend(StrictRedis(port=int(redis_port))), {r"^/": [rule]})


def throttled(using, limit, window, burst="0"):
    """algorithm, limit, window, burst"""
    from throttled import Throttled, rate_limiter

    quota = rate_limiter.per_duration(timedelta(seconds=int(window)), limit=int(limit), burst=int(burst))
    throttle = Throttled(using=using, quota=quota)

    async def allow():
        return not throttle.limit("all", 1).limited

    return plain(allow)


def quart_limiter(limit, window):
    """limit, window"""
    from quart import Quart
    from quart_rate_limiter import RateLimiter, rate_limit

    app = Quart(__name__)
    RateLimiter(app)

    @app.get("/")
    @rate_limit(int(limit), timedelta(seconds=float(window)))
    async def index():
        return "ok"

    return app


def litestar(unit, limit):
    """second or minute, limit"""
    from litestar import Litestar, get
    from litestar.middleware.rate_limit import RateLimitConfig

    @get("/")
    async def index() -> str:
        return "ok"

    return Litestar(route_handlers=[index], middleware=[RateLimitConfig(rate_limit=(unit, int(limit))).middleware])


def fastapi_limiter(limit, window):
    """limit, window in milliseconds"""
    from fastapi import Depends, FastAPI
    from fastapi_limiter.depends import RateLimiter
    from pyrate_limiter import Limiter, Rate

    app = FastAPI()

    @app.get("/", dependencies=[Depends(RateLimiter(limiter=Limiter(Rate(int(limit), int(window)))))])
    async def index():
        return "ok"

    return app


def token_bucket_of(rate, capacity):
    """tokens a second, what the bucket holds"""
    import token_bucket

    limiter = token_bucket.Limiter(float(rate), int(capacity), token_bucket.MemoryStorage())

    async def allow():
        return limiter.consume("all")

    return plain(allow)


def rush_periodic(limit, burst, window):
    """limit, what may come on top, window in seconds"""
    from rush import quota, throttle
    from rush.limiters import periodic
    from rush.stores import dictionary

    of = throttle.Throttle(
        limiter=periodic.PeriodicLimiter(store=dictionary.DictionaryStore()),
        rate=quota.Quota(period=timedelta(seconds=float(window)), count=int(limit), maximum_burst=int(burst)),
    )

    async def allow():
        return not of.check("all", 1).limited

    return plain(allow)


def django_ninja(*rates):
    """ "10/10" or "5/s", more of them"""

    def view():
        from ninja import NinjaAPI
        from ninja.throttling import AnonRateThrottle

        api = NinjaAPI(throttle=[type("Throttle%d" % i, (AnonRateThrottle,), {"scope": "s%d" % i})(r) for i, r in enumerate(rates)])

        @api.get("/")
        def index(request):
            return "ok"

        return api.urls

    return django_app(view)


kinds = {
    "django-ninja": django_ninja,
    "token-bucket": token_bucket_of, "rush": rush_periodic,
    "django-smart-ratelimit": django_smart_ratelimit, "asgi-ratelimit": asgi_ratelimit,
    "quart-rate-limiter": quart_limiter, "litestar": litestar, "fastapi-limiter": fastapi_limiter,
    "flask-limiter": flask_limiter, "slowapi": slowapi, "django-ratelimit": django_ratelimit, "drf": drf,
    "aiolimiter": aiolimiter, "pyrate-limiter": pyrate_limiter, "throttled-py": throttled,
}
app = kinds[kind](*figures)
if kind == "flask-limiter":
    import waitress

    waitress.serve(app, host="127.0.0.1", port=port, threads=4, connection_limit=1000, _quiet=True)
else:
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off")
