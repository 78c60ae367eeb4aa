"""HTML pages from the templates of the stages: everything is escaped, and a name nobody gave is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jinja2


def render(template: str, content: Mapping[str, Any], filters: Mapping[str, Callable[..., str]] | None = None) -> str:
    """Text of a page.

    Parameters
    ----------
    template
        File name of the template.
    content
        What the template may name.
    filters
        Functions it may call, in addition to those of Jinja.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("snpoint.stages", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(filters or {})
    return environment.get_template(template).render(content)
