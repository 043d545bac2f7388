"""The SMS system of the lab, written in Django REST Framework as its manual
teaches it: session authentication, serializers, throttling, pagination. It
exists to be recorded (see record.py); the Go stand-in is held to the recording.
"""

import os
import secrets
from datetime import timedelta

import django
from django.conf import settings

RATE = os.environ.get("SMS_RATE", "5/hour")

settings.configure(
    DEBUG=False,
    SECRET_KEY="not-a-secret-weir-lab",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="app",
    USE_TZ=True,
    TIME_ZONE="UTC",
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    AUTH_USER_MODEL="accounts.User",
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "rest_framework",
    ],
    # As `django-admin startproject` writes it, without messages.
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
    CSRF_TRUSTED_ORIGINS=["http://localhost:3000", "https://*.example.org"],
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
        "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_THROTTLE_RATES": {"sms": RATE},
    },
    LOGGING_CONFIG=None,
)

# The models live in this file, so two app configurations are made by hand.
import sys  # noqa: E402
import types  # noqa: E402
from django.apps import AppConfig, apps  # noqa: E402


def module(name):
    m = types.ModuleType(name)
    m.__file__, m.__path__ = __file__, [os.path.dirname(os.path.abspath(__file__))]
    sys.modules[name] = m
    return m


class AccountsConfig(AppConfig):
    name = label = "accounts"
    path = os.path.dirname(os.path.abspath(__file__))


class SMSConfig(AppConfig):
    name = label = "sms"
    path = os.path.dirname(os.path.abspath(__file__))


for cls in (AccountsConfig, SMSConfig):
    m = module(cls.name)
    setattr(m, cls.__name__, cls)
    cls.__module__ = cls.name
    module(cls.name + ".models")
    settings.INSTALLED_APPS.append(f"{cls.name}.{cls.__name__}")


class Late:
    """Defines the models when Django imports the app's models module."""

    @staticmethod
    def accounts():
        from django.contrib.auth.models import AbstractUser
        from django.db import models

        class User(AbstractUser):
            class Meta(AbstractUser.Meta):
                app_label = "accounts"

        class Profile(models.Model):
            user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="profile")
            employee_id = models.CharField(max_length=20, unique=True)
            full_name = models.CharField(max_length=100)

            class Meta:
                app_label = "accounts"

        return User, Profile

    @staticmethod
    def sms():
        from django.db import models
        from django.utils import timezone

        owner = lambda: models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)  # noqa: E731

        class Customer(models.Model):
            phone_number = models.CharField(max_length=20)
            name = models.CharField(max_length=100, blank=True, default="")
            created_by = owner()
            created_at = models.DateTimeField(default=timezone.now)

            class Meta:
                app_label = "sms"

        class Template(models.Model):
            customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
            name = models.CharField(max_length=50)
            content = models.TextField(max_length=670)
            created_at = models.DateTimeField(default=timezone.now)

            class Meta:
                app_label = "sms"
                constraints = [models.UniqueConstraint(fields=["customer", "name"], name="template_name")]

        class Token(models.Model):
            customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
            token = models.CharField(max_length=64, unique=True)
            expires_at = models.DateTimeField()
            used_at = models.DateTimeField(null=True)

            class Meta:
                app_label = "sms"

        class Message(models.Model):
            customer = models.ForeignKey(Customer, on_delete=models.CASCADE)
            template = models.ForeignKey(Template, on_delete=models.CASCADE)
            phone_number = models.CharField(max_length=20)
            content = models.TextField()
            status = models.CharField(max_length=10)
            message_id = models.CharField(max_length=100)
            sent_by = owner()
            sent_at = models.DateTimeField(default=timezone.now)

            class Meta:
                app_label = "sms"

        return Customer, Template, Token, Message


_import_models = AppConfig.import_models


def import_models(self):
    self.models = self.apps.all_models[self.label]
    if self.label == "accounts":
        globals().update(zip(("User", "Profile"), Late.accounts()))
    elif self.label == "sms":
        globals().update(zip(("Customer", "Template", "Token", "Message"), Late.sms()))
    else:
        _import_models(self)


AppConfig.import_models = import_models
django.setup()

from django.contrib.auth import login, logout  # noqa: E402
from django.core.validators import RegexValidator  # noqa: E402
from django.db import transaction  # noqa: E402
from django.shortcuts import get_object_or_404  # noqa: E402
from django.urls import path  # noqa: E402
from django.utils import timezone  # noqa: E402
from rest_framework import serializers, status, validators  # noqa: E402
from rest_framework.authtoken.serializers import AuthTokenSerializer  # noqa: E402
from rest_framework.exceptions import APIException  # noqa: E402
from rest_framework.pagination import PageNumberPagination  # noqa: E402
from rest_framework.permissions import AllowAny  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.throttling import ScopedRateThrottle  # noqa: E402
from rest_framework.views import APIView  # noqa: E402

phone_number = RegexValidator(
    r"^(?:\+[1-9][0-9]{6,14}|0[6-9]0-?[0-9]{4}-?[0-9]{4})\Z", "Enter a valid phone number."
)


def international(number):
    return number if number.startswith("+") else "+81" + number.replace("-", "")[1:]


class CustomerSerializer(serializers.ModelSerializer):
    phone_number = serializers.CharField(max_length=20, validators=[phone_number])

    class Meta:
        model = Customer  # noqa: F821
        fields = ["id", "phone_number", "name", "created_at"]
        read_only_fields = ["created_at"]


class FromURL:
    requires_context = True

    def __call__(self, field):
        return field.context["customer"]


class TemplateSerializer(serializers.ModelSerializer):
    customer = serializers.HiddenField(default=FromURL())
    customer_id = serializers.IntegerField(read_only=True)

    class Meta:
        model = Template  # noqa: F821
        fields = ["id", "customer", "customer_id", "name", "content", "created_at"]
        read_only_fields = ["created_at"]
        extra_kwargs = {"content": {"max_length": 670}}
        validators = [
            validators.UniqueTogetherValidator(queryset=Template.objects.all(), fields=["customer", "name"])  # noqa: F821
        ]


class TokenSerializer(serializers.Serializer):
    id = serializers.IntegerField(read_only=True)
    token = serializers.CharField(read_only=True)
    customer_id = serializers.PrimaryKeyRelatedField(source="customer", queryset=Customer.objects.all())  # noqa: F821
    expires_at = serializers.DateTimeField(read_only=True)

    def get_fields(self):
        fields = super().get_fields()
        fields["customer_id"].queryset = Customer.objects.filter(created_by=self.context["user"])  # noqa: F821
        return fields


class SendSerializer(serializers.Serializer):
    phone_number = serializers.CharField(max_length=20, validators=[phone_number])
    token = serializers.CharField(max_length=64)
    customer_id = serializers.PrimaryKeyRelatedField(source="customer", queryset=Customer.objects.all())  # noqa: F821
    template_id = serializers.PrimaryKeyRelatedField(source="template", queryset=Template.objects.all())  # noqa: F821

    def get_fields(self):
        fields = super().get_fields()
        mine = self.context["user"]
        fields["customer_id"].queryset = Customer.objects.filter(created_by=mine)  # noqa: F821
        fields["template_id"].queryset = Template.objects.filter(customer__created_by=mine)  # noqa: F821
        return fields

    def validate(self, data):
        if data["template"].customer_id != data["customer"].id:
            raise serializers.ValidationError({"template_id": ["This template belongs to another customer."]})
        if international(data["phone_number"]) != international(data["customer"].phone_number):
            raise serializers.ValidationError({"phone_number": ["This is not the customer's phone number."]})
        return data


class MessageSerializer(serializers.ModelSerializer):
    customer_id = serializers.IntegerField()
    template_id = serializers.IntegerField()

    class Meta:
        model = Message  # noqa: F821
        fields = ["id", "customer_id", "template_id", "phone_number", "content", "status", "message_id", "sent_at"]


class Pages(PageNumberPagination):
    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100


def page(view, request, queryset, serializer):
    p = Pages()
    rows = p.paginate_queryset(queryset, request, view=view)
    return p.get_paginated_response(serializer(rows, many=True).data)


class Login(APIView):
    permission_classes = [AllowAny]

    def post(self, request):
        s = AuthTokenSerializer(data=request.data, context={"request": request})
        s.is_valid(raise_exception=True)
        user = s.validated_data["user"]
        login(request._request, user)
        profile = Profile.objects.filter(user=user).first()  # noqa: F821
        return Response(
            {
                "id": user.id,
                "username": user.username,
                "email": user.email,
                "employee_id": profile.employee_id if profile else None,
                "full_name": profile.full_name if profile else None,
            }
        )


class Logout(APIView):
    def post(self, request):
        logout(request._request)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Customers(APIView):
    def get(self, request):
        return page(self, request, Customer.objects.filter(created_by=request.user).order_by("id"), CustomerSerializer)  # noqa: F821

    def post(self, request):
        s = CustomerSerializer(data=request.data)
        s.is_valid(raise_exception=True)
        s.save(created_by=request.user)
        return Response(s.data, status=status.HTTP_201_CREATED)


class CustomerDetail(APIView):
    def get(self, request, pk):
        return Response(CustomerSerializer(get_object_or_404(Customer, pk=pk, created_by=request.user)).data)  # noqa: F821


class Templates(APIView):
    def customer(self, request, pk):
        return get_object_or_404(Customer, pk=pk, created_by=request.user)  # noqa: F821

    def get(self, request, pk):
        return page(self, request, Template.objects.filter(customer=self.customer(request, pk)).order_by("id"), TemplateSerializer)  # noqa: F821

    def post(self, request, pk):
        s = TemplateSerializer(data=request.data, context={"customer": self.customer(request, pk)})
        s.is_valid(raise_exception=True)
        s.save()
        return Response(s.data, status=status.HTTP_201_CREATED)


class Tokens(APIView):
    def post(self, request):
        s = TokenSerializer(data=request.data, context={"user": request.user})
        s.is_valid(raise_exception=True)
        s.save = lambda **k: Token.objects.create(**s.validated_data, **k)  # noqa: F821
        made = s.save(token=secrets.token_urlsafe(32), expires_at=timezone.now() + timedelta(minutes=10))
        return Response(TokenSerializer(made, context={"user": request.user}).data, status=status.HTTP_201_CREATED)


class GatewayError(APIException):
    status_code = 502
    default_code = "gateway"


# refuse, when set, is what the next publish raises: (code, message).
refuse = []


def publish(number, text):
    if refuse:
        raise GatewayError("SMS gateway: %s: %s" % refuse.pop())
    import uuid

    return str(uuid.uuid4())


class Send(APIView):
    throttle_classes = [ScopedRateThrottle]
    throttle_scope = "sms"

    def post(self, request):
        s = SendSerializer(data=request.data, context={"user": request.user})
        s.is_valid(raise_exception=True)
        d = s.validated_data
        with transaction.atomic():
            token = Token.objects.select_for_update().filter(token=d["token"], customer=d["customer"]).first()  # noqa: F821
            if token is None:
                raise serializers.ValidationError({"token": ["Invalid token."]})
            if token.used_at is not None:
                raise serializers.ValidationError({"token": ["This token has already been used."]})
            if token.expires_at <= timezone.now():
                raise serializers.ValidationError({"token": ["This token has expired."]})
            token.used_at = timezone.now()
            token.save()
            message = Message.objects.create(  # noqa: F821
                customer=d["customer"],
                template=d["template"],
                phone_number=d["phone_number"],
                content=d["template"].content,
                status="sent",
                message_id=publish(international(d["phone_number"]), d["template"].content),
                sent_by=request.user,
            )
        return Response(MessageSerializer(message).data, status=status.HTTP_201_CREATED)


class History(APIView):
    def get(self, request):
        return page(self, request, Message.objects.filter(sent_by=request.user).order_by("-id"), MessageSerializer)  # noqa: F821


class Broken(APIView):
    """Stands for any view whose database is gone: Django's own 500."""

    permission_classes = [AllowAny]

    def get(self, request):
        raise RuntimeError("broken")


urlpatterns = [
    path("api/auth/login", Login.as_view()),
    path("api/auth/logout", Logout.as_view()),
    path("api/customers", Customers.as_view()),
    path("api/customers/<int:pk>", CustomerDetail.as_view()),
    path("api/customers/<int:pk>/templates", Templates.as_view()),
    path("api/tokens", Tokens.as_view()),
    path("api/sms/send", Send.as_view()),
    path("api/sms/history", History.as_view()),
    path("broken", Broken.as_view()),
]


def prepare():
    from django.db import connection

    with connection.schema_editor() as editor:
        for model in apps.get_models():
            editor.create_model(model)
    for pk, name in ((1, "admin"), (2, "operator")):
        u = User(id=pk, username=name, email=name + "@example.com", is_staff=True, is_superuser=pk == 1)  # noqa: F821
        u.set_password("password123")
        u.save()
        if pk == 1:
            Profile.objects.create(user=u, employee_id="EMP001", full_name="管理者ユーザー")  # noqa: F821
