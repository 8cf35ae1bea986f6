"""What whoever runs the server may set."""

from typing import Final

import msgspec


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits and habits of the server.

    Attributes:
        max_body_bytes: longest request body.
        max_rows: most rows in one request.
        max_levels: most quantile levels in one request.
        thread_body_bytes: a longer body, of some 300 rows, is answered in a thread and keeps nobody waiting.
        threads: how many such bodies are answered at once.
        poll_s: seconds between looks for new champions, while looking is quick.
        token: what ``Authorization: Bearer`` must carry; empty asks for nothing.
    """

    max_body_bytes: int = 16 * 2**20
    max_rows: int = 100_000
    max_levels: int = 32
    thread_body_bytes: int = 32 * 2**10
    threads: int = 2
    poll_s: float = 5.0
    token: str = ""


DEFAULTS: Final = Options()
