"""A hook of MkDocs: the site also has each page as plain Markdown, next to its HTML, and a list of them in llms.txt.

https://www.mkdocs.org/user-guide/configuration/#hooks
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def on_post_build(config: Mapping[str, Any], **_: Any) -> None:
    """Copy the pages, and list them by title."""
    docs, site = Path(config["docs_dir"]), Path(config["site_dir"])
    listed = [f"# {config['site_name']}", "", f"> {config['site_description']}", ""]
    for page in sorted(docs.rglob("*.md")):
        path = page.relative_to(docs)
        text = page.read_text(encoding="utf-8")
        copy = site / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(text, encoding="utf-8")
        title = text.splitlines()[0].removeprefix("# ")
        listed.append(f"- [{title}]({path.as_posix()})")
    (site / "llms.txt").write_text("\n".join([*listed, ""]), encoding="utf-8")
