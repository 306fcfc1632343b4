"""The interface's description, OpenAPI 3.1, made of the same types that decode and encode its messages."""

import re
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from benchyard.access.roles import Role
from benchyard.results.patterns import END
from benchyard.web.calls import Nothing, Route

BASE = "/plugins/benchyard/api/v1"
_PLACEHOLDER = re.compile(r"<(?:(?P<kind>int):)?(?P<name>[a-z_]+)>")
_REF = "#/components/schemas/{name}"


class ProblemView(msgspec.Struct, frozen=True, rename={"kind": "type"}):
    """An error (RFC 9457); `field` names what was wrong, `detail` says what to do."""

    kind: str
    title: str
    status: int
    detail: str
    field: str | msgspec.UnsetType = msgspec.UNSET


@cache
def document(routes: Sequence[Route]) -> dict[str, Any]:
    """The whole document; the same for the same routes."""
    kinds = [ProblemView, *(k for route in routes for k in (route.answer, route.body) if k is not None)]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    by_kind = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        path = _PLACEHOLDER.sub(lambda found: "{" + found["name"] + "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "benchyard",
            "version": version("benchyard"),
            "description": "The lab's queue, hosts, users and results.",
        },
        "servers": [{"url": BASE}],
        "security": [{"token": []}, {"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "TWISTED_SESSION"},
            },
        },
    }


def _operation(route: Route, by_kind: dict[str, Any]) -> dict[str, Any]:
    answer = {"description": "Done."}
    answer["content"] = {route.content_type: {"schema": by_kind[repr(route.answer)]}}  # type: ignore[assignment]
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub('[^a-z]+', '_', route.path)}".rstrip("_"),
        "summary": route.summary,
        "description": f"Takes the role {route.role.name.lower()}." if route.role > Role.ANYONE else "For anyone.",
        "tags": [route.path.split("/")[1]],
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_header_parameters(route)],
        "responses": {
            str(route.status): answer,
            "4XX": {
                "description": "What was wrong, with which field.",
                "content": {"application/problem+json": {"schema": by_kind[repr(ProblemView)]}},
            },
        },
    }
    if route.role is Role.ANYONE:
        operation["security"] = []
    if route.raw:
        content: dict[str, Any] = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": True, "content": content}
    elif route.body is not None:
        required = any(field.required for field in msgspec.structs.fields(route.body))
        content = {"application/json": {"schema": by_kind[repr(route.body)]}}
        operation["requestBody"] = {"required": required, "content": content}
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    kinds: dict[str | None, dict[str, Any]] = {
        "int": {"type": "integer", "minimum": 0},
        None: {"type": "string", "minLength": 1},
    }
    return [
        {"name": found["name"], "in": "path", "required": True, "schema": kinds[found["kind"]]}
        for found in _PLACEHOLDER.finditer(route.path)
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is Nothing:
        return []
    schema, components = msgspec.json.schema_components([route.query], ref_template="{name}")
    properties = components[schema[0]["$ref"]]["properties"]
    required = {field.name for field in msgspec.structs.fields(route.query) if field.required}
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _not_null(described)}
        for name, described in properties.items()
    ]


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query parameter is left out, never null."""
    choices = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if not choices:
        return {key: value for key, value in schema.items() if not (key == "default" and value is None)}
    return choices[0] if len(choices) == 1 else {"anyOf": choices}


def _header_parameters(route: Route) -> list[dict[str, Any]]:
    headers = []
    if route.keyed:
        words = "The same key with the same request gives the first answer again."
        headers.append(("Idempotency-Key", words, {"type": "string", "pattern": "^[!-~]{1,100}" + END}))
    if route.method in ("PATCH", "DELETE") or route.path.endswith("/move"):
        words = "The ETag of the state that you have seen; 412 if there is another by now."
        headers.append(("If-Match", words, {"type": "string"}))
    return [
        {"name": name, "in": "header", "required": False, "description": words, "schema": schema}
        for name, words, schema in headers
    ]
