"""Serves a codespeed on 127.0.0.1: `python serve.py SETTINGS`, a JSON object as `codespeed.Site` has it.

Runs in codespeed's own environment, where nothing of ours is. Prints the port it listens on.
"""

import json
import logging
import ssl
import sys
from importlib import import_module
from pathlib import Path
from typing import Any


def configure(site: dict[str, Any]) -> None:
    """Set Django up as codespeed's sample project does, with what the site says."""
    from django.conf import settings

    own = import_module("codespeed.settings")
    settings.configure(
        **{name: getattr(own, name) for name in dir(own) if name.isupper()}
        | {
            "ALLOWED_HOSTS": site["hosts"],
            "ALLOW_ANONYMOUS_POST": site["anonymous"],
            "REQUIRE_SECURE_AUTH": site["secure_auth"],
            "DATA_UPLOAD_MAX_MEMORY_SIZE": site["max_body_bytes"],
            "DATABASES": {
                "default": {
                    "ENGINE": "django.db.backends.sqlite3",
                    "NAME": site["database"],
                    "OPTIONS": {"timeout": site["lock_wait_s"]},
                }
            },
            "DEBUG": False,
            "INSTALLED_APPS": [
                *(f"django.contrib.{app}" for app in ("auth", "contenttypes", "sessions", "messages", "admin")),
                "django.contrib.staticfiles",
                "codespeed",
            ],
            "LOGGING_CONFIG": None,
            # Benchmarks on a page of all timelines.
            "TIMELINE_GRID_PAGING": 1000,
            "MIDDLEWARE": [
                "django.middleware.common.CommonMiddleware",
                "django.contrib.sessions.middleware.SessionMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "mending.mended",
                "django.contrib.messages.middleware.MessageMiddleware",
            ],
            # Quick ones: no password here is worth more.
            "PASSWORD_HASHERS": ["django.contrib.auth.hashers.MD5PasswordHasher"],
            "ROOT_URLCONF": "urls",
            "SECRET_KEY": "of a test",
            "STATIC_URL": "/static/",
            "TEMPLATES": [
                {
                    "BACKEND": "django.template.backends.django.DjangoTemplates",
                    "APP_DIRS": True,
                    "OPTIONS": {
                        "context_processors": [
                            "django.contrib.auth.context_processors.auth",
                            "django.contrib.messages.context_processors.messages",
                            "django.template.context_processors.request",
                        ]
                    },
                }
            ],
            "TIME_ZONE": "America/Chicago",
            "USE_TZ": site["use_tz"],
        }
    )


def prepare(site: dict[str, Any]) -> None:
    """Make the tables, where there are none, and what the site has."""
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import User

    models = import_module("codespeed.models")
    for name in site["environments"]:
        models.Environment.objects.get_or_create(name=name)
    for name, branch in site["projects"].items():
        models.Project.objects.get_or_create(name=name, defaults={"default_branch": branch, "track": True})
    for name, password in site["users"].items():
        if not User.objects.filter(username=name).exists():
            User.objects.create_user(name, password=password)


def serve(site: dict[str, Any]) -> None:
    """Serve until killed, one thread for each connection."""
    from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler, get_internal_wsgi_application

    server = ThreadedWSGIServer(("127.0.0.1", site["port"]), WSGIRequestHandler, ipv6=False)
    if site["certificate"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(site["certificate"], site["key"])
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.base_environ["HTTPS"] = "on"
    server.set_app(get_internal_wsgi_application())
    print(server.server_port, flush=True)
    server.serve_forever()


def main() -> None:
    import django

    logging.basicConfig(level=logging.INFO)
    site = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    configure(site)
    django.setup()
    prepare(site)
    if site["serve"]:
        serve(site)


if __name__ == "__main__":
    main()
