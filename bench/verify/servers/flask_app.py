"""Flask-Limiter with a moving window: 5 in 2 s for each address."""
import sys

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address

app = Flask(__name__)
limiter = Limiter(get_remote_address, app=app, default_limits=["5 per 2 second"], strategy="moving-window", storage_uri="memory://")


@app.get("/")
def index():
    return "ok"


app.run(port=int(sys.argv[1]), threaded=True)
