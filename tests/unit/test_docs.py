"""Documentation that is generated stays in sync, and links lead somewhere."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md"), *REPOSITORY.glob("*/README.md")]


def test_formats_page_is_what_the_contracts_say() -> None:
    spec = importlib.util.spec_from_file_location("make_formats", REPOSITORY / "docs/make_formats.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (REPOSITORY / "docs/formats.md").read_text() == module.page(), "run: python docs/make_formats.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_no_page_is_unfinished(page: Path) -> None:
    found = re.findall(r".*(?:@@|TODO|FIXME|XXX|\bTBD\b|[Ff]illed in|[Pp]laceholder(?!s)).*", page.read_text())
    assert found == [], f"{page}: {found}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_of_the_documentation_exist(page: Path) -> None:
    text = page.read_text()
    for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", text):
        if target.startswith("http"):
            continue
        assert (page.parent / target).exists(), f"{page}: {target}"
        if anchor:
            linked = (page.parent / target).read_text() if target else text
            assert anchor in anchors(linked), f"{page}: {target}#{anchor}"


def test_figures_and_tables_of_the_validation_are_shown_or_named() -> None:
    folder = REPOSITORY / "docs/validation"
    text = "".join(page.read_text() for page in folder.glob("*.md"))
    files = {path.name for path in folder.iterdir()} - {path.name for path in folder.glob("*.md")}
    assert {name for name in files if name not in text} == set()


def anchors(text: str) -> set[str]:
    """Names of the headings of a page, as links call them."""
    headings = re.findall(r"^#+ +(.+?) *$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
