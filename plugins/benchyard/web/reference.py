"""The reference of the REST interface as a page for people, made of the same document that programs read."""

import json
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from benchyard.web.calls import Route
from benchyard.web.openapi import BASE, document

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222; }
h2 { border-bottom: 1px solid #ccc; margin-top: 2.5rem; text-transform: capitalize; }
h3 code { font-size: 1rem; } .method { display: inline-block; min-width: 4.5rem; font-weight: bold; color: #0b5394; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem 1rem .15rem 0; vertical-align: top; }
pre { background: #f5f5f5; padding: .7rem; overflow-x: auto; font-size: .85rem; } .role { color: #666; }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd; } pre { background: #2a2a2a; }
.method { color: #8ab4f8; } .role { color: #aaa; } a { color: #8ab4f8; } }
"""


def page(routes: Sequence[Route]) -> str:
    """The whole page."""
    described = document(tuple(routes))
    return "\n".join(
        [
            "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>benchyard: REST</title>",
            f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style></head><body>",
            "<h1>The lab over REST</h1>",
            f"<p>All addresses are below <code>{BASE}</code>; <a href='v1/openapi.json'>openapi.json</a> is the same "
            "for programs. Send <code>Authorization: Bearer TOKEN</code>; <code>benchyard login</code> makes one. "
            "Errors are <code>application/problem+json</code> and name the <code>field</code> that was wrong.</p>",
            *_operations(described),
            "<h2>Types</h2>",
            *_types(described["components"]["schemas"]),
            "</body></html>",
        ]
    )


def _operations(described: Mapping[str, Any]) -> Iterator[str]:
    section = ""
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if operation["tags"][0] != section:
                section = operation["tags"][0]
                yield f"<h2 id={escape(section)}>{escape(section)}</h2>"
            yield f"<h3><code><span class=method>{method.upper()}</span> {escape(path)}</code></h3>"
            yield f"<p>{escape(operation['summary'])} <span class=role>{escape(operation['description'])}</span></p>"
            yield from _parameters(operation)
            yield f"<p>{_messages(operation)}</p>"


def _parameters(operation: Mapping[str, Any]) -> Iterator[str]:
    if operation["parameters"]:
        yield "<table>"
        for parameter in operation["parameters"]:
            needed = "required" if parameter["required"] else "optional"
            words = parameter.get("description", _short(parameter["schema"]))
            yield (
                f"<tr><td><code>{escape(parameter['name'])}</code></td><td>{parameter['in']}, {needed}</td>"
                f"<td>{escape(words)}</td></tr>"
            )
        yield "</table>"


def _messages(operation: Mapping[str, Any]) -> str:
    parts = []
    for content in operation.get("requestBody", {}).get("content", {}).values():
        parts.append(f"Takes {_name(content['schema'])}.")
    for status, answer in operation["responses"].items():
        for kind, content in answer.get("content", {}).items():
            if status != "4XX":
                parts.append(f"Answers {status} with {_name(content['schema'])} as {escape(kind)}.")
    return " ".join(parts)


def _name(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"<a href='#{escape(name)}'>{escape(name)}</a>"
    return escape(_short(schema))


def _short(schema: Mapping[str, Any]) -> str:
    """A schema in a few words."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    kind = str(schema.get("format") or schema.get("type") or "")
    limits = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    default = [f"default {schema['default']}"] if schema.get("default") not in (None, "") else []
    return ", ".join([kind, *limits, *default])


def _types(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        yield f"<h3 id={escape(name)}><code>{escape(name)}</code></h3>"
        if schema.get("description"):
            yield f"<p>{escape(schema['description'])}</p>"
        shown = {key: value for key, value in schema.items() if key not in ("title", "description")}
        yield f"<pre>{escape(json.dumps(shown, indent=1))}</pre>"
