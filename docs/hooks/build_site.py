"""MkDocs: adds the reference, and the files of the repository that pages link to.

Links in Markdown are those of the repository, so that they work there too. What is outside docs/ becomes part of the
site under repository/, a page where it is Markdown.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import reference
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)")
"""The target of a link or a picture within the repository, without its anchor."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Called by MkDocs when it has found the files of docs/."""
    for name, text in reference.pages().items():
        files.append(File.generated(config, f"reference/{name}.md", content=text))
    for path in sorted(_linked_files()):
        files.append(File.generated(config, site_path(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Called by MkDocs with each page: its links lead to where their targets are on the site."""
    here = page.file.src_uri
    source = here.removeprefix("repository/") if here.startswith("repository/") else f"docs/{here}"

    def moved(link: re.Match[str]) -> str:
        return posixpath.relpath(site_path(_target(source, link[0])), posixpath.dirname(here))

    return LINK.sub(moved, markdown)


def site_path(path: str) -> str:
    """Where a file of the repository is on the site."""
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def _target(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _linked_files() -> set[str]:
    """The files outside docs/ that pages lead to, also by way of each other."""
    found: set[str] = set()
    waiting = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))]
    while waiting:
        for target in _links(waiting.pop()):
            if not target.startswith("docs/") and target not in found and (ROOT / target).is_file():
                found.add(target)
                waiting.append(target)
    return found


def _links(path: str) -> Iterator[str]:
    if path.endswith(".md"):
        yield from (_target(path, link) for link in LINK.findall((ROOT / path).read_text()))
