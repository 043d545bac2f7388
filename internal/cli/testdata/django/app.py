import os, sys, django
from django.conf import settings
HERE = os.path.dirname(os.path.abspath(__file__))
DB = os.environ.get("APP_DB", "app.sqlite3")
settings.configure(
    DEBUG=False, SECRET_KEY="only-for-this-test", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions", "rest_framework"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware", "django.middleware.common.CommonMiddleware",
                "django.middleware.csrf.CsrfViewMiddleware", "django.contrib.auth.middleware.AuthenticationMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": DB, "OPTIONS": {"timeout": 20}}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"context_processors": ["django.template.context_processors.request"]}}],
    REST_FRAMEWORK={"DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
                    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
                    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"]},
)
django.setup()
from itertools import count
from django.contrib.auth import authenticate, login
from django.contrib.auth.models import User
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.middleware.csrf import get_token
from django.template import engines
from django.urls import path
from django.views.decorators.csrf import csrf_protect
from rest_framework import serializers, status
from rest_framework.decorators import api_view, permission_classes
from rest_framework.permissions import AllowAny
from rest_framework.response import Response

ids = count(1)
sent = []

class Customer(serializers.Serializer):
    phone_number = serializers.RegexField(r"^0\d{9,10}$")

@api_view(["POST"])
@permission_classes([AllowAny])
def api_login(request):
    user = authenticate(request, username=request.data.get("username"), password=request.data.get("password"))
    if user is None:
        return Response({"detail": "wrong"}, status=status.HTTP_401_UNAUTHORIZED)
    login(request, user)
    get_token(request)
    return Response({"id": user.pk})

@csrf_protect
def form_login(request):
    if request.method == "POST":
        user = authenticate(request, username=request.POST.get("username"), password=request.POST.get("password"))
        if user is None:
            return HttpResponse("wrong", status=401)
        login(request, user)
        return HttpResponse(status=302, headers={"Location": "/home"})
    page = engines["django"].from_string('<form method=post>{% csrf_token %}<input name="username"></form>')
    return HttpResponse(page.render({}, request))

def home(request):
    return HttpResponse("hello " + request.user.get_username())

@api_view(["POST"])
def customers(request):
    s = Customer(data=request.data)
    s.is_valid(raise_exception=True)
    return Response({"id": next(ids)}, status=201)

@api_view(["POST"])
def tokens(request):
    return Response({"token": "t%d" % next(ids)}, status=201)

@api_view(["POST"])
def templates(request, customer):
    return Response({"id": next(ids)}, status=201)

@api_view(["POST"])
def send(request):
    sent.append(request.data)
    return Response({"status": "sent"}, status=201)

@api_view(["GET"])
def history(request):
    return Response({"count": len(sent), "results": sent[-20:]})

urlpatterns = [path("api/auth/login", api_login), path("login/", form_login), path("home", home), path("api/customers", customers),
               path("api/tokens", tokens), path("api/customers/<int:customer>/templates", templates),
               path("api/sms/send", send), path("api/sms/history", history)]

if __name__ == "__main__":
    from django.core.management import call_command
    call_command("migrate", verbosity=0)
    User.objects.filter(username="admin").exists() or User.objects.create_user("admin", password="password123")
    from socketserver import ThreadingMixIn
    from wsgiref.simple_server import WSGIServer, WSGIRequestHandler, make_server
    class Server(ThreadingMixIn, WSGIServer):
        daemon_threads = True
        request_queue_size = 128
    class Handler(WSGIRequestHandler):
        def log_message(self, *a): pass
    s = make_server("127.0.0.1", int(sys.argv[1]), get_wsgi_application(), Server, Handler)
    print("ready", s.server_port, flush=True)
    s.serve_forever()
