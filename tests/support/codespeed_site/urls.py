"""Codespeed's own addresses, and the admin's, whose pages codespeed links to."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [path("admin/", admin.site.urls), path("", include("codespeed.urls"))]
