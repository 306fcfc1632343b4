"""Pictures that the lab draws of results."""

from typing import Literal

from benchyard.client.comparisons import Selector, asked
from benchyard.client.entities import Link
from benchyard.client.http import Params

Kind = Literal["svg", "png"]


def draw_comparison(
    link: Link,
    kind: Kind,
    base: Selector,
    head: Selector,
    *,
    benchmark: str | None,
    single: bool,
    include_different: bool,
    dark: bool,
) -> bytes:
    """A comparison, or one benchmark of it."""
    params, files = asked(base, (head,), single, include_different)
    params = {**params, **({"benchmark": benchmark} if benchmark else {}), **_dark(dark)}
    path = f"/results/{'distribution' if benchmark else 'compare'}.{kind}"
    return link.api.get_bytes(path, params) if files is None else link.api.post_bytes(path, files, params)


def draw_series(link: Link, kind: Kind, params: Params, *, dark: bool) -> bytes:
    """Series."""
    return link.api.get_bytes(f"/results/series.{kind}", {**params, **_dark(dark)})


def _dark(dark: bool) -> Params:
    return {"dark": "true"} if dark else {}
