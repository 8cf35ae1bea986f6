"""The page at ``/``: how predictions fare, for people."""

from pathlib import Path
from typing import Final

from foretell.serving.llmd.app import Answer, Handler

PAGE: Final = Path(__file__).with_name("page.html")


def page_routes() -> dict[str, dict[str, Handler]]:
    """The page; nothing is loaded from elsewhere."""

    async def page(body: bytes) -> Answer:
        return 200, b"text/html; charset=utf-8", PAGE.read_bytes()

    return {"/": {"GET": page}}
