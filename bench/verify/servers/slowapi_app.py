"""slowapi on Starlette: 5 in 2 s for each address, a fixed window."""
import sys

import uvicorn
from slowapi import Limiter, _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from slowapi.util import get_remote_address
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

limiter = Limiter(key_func=get_remote_address)


@limiter.limit("5/2second")
async def index(request: Request):
    return PlainTextResponse("ok")


app = Starlette(routes=[Route("/", index)])
app.state.limiter = limiter
app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
