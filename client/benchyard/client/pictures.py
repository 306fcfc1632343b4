"""Pictures that the lab draws of comparisons."""

from typing import Literal

from benchyard.client.comparisons import Selector, asked
from benchyard.client.entities import Link

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
    params = {**params, **({"benchmark": benchmark} if benchmark else {}), **({"dark": "true"} if dark else {})}
    path = f"/results/{'distribution' if benchmark else 'compare'}.{kind}"
    return link.api.get_bytes(path, params) if files is None else link.api.post_bytes(path, files, params)
