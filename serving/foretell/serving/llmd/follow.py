"""Models for a server that only predicts: from another process's folder, or from its training server."""

import asyncio
import hashlib
from typing import Final

import httpx
import msgspec

from foretell.errors import ArtefactError
from foretell.serving.llmd.folder import StateFolder
from foretell.serving.llmd.models import Models, held
from foretell.serving.llmd.options import Options
from foretell.training.online import Published

LOOK_S: Final = 1.0
ASK_S: Final = 5.0
"""Seconds between looks into a folder, and between questions to another server."""
TIMEOUT_S: Final = 5.0
_published: Final = msgspec.json.Decoder(list[Published])


class Follower:
    """Looks for new models again and again; what was loaded last goes on answering.

    Args:
        options: where to look.
        models: where new models go.
    """

    def __init__(self, options: Options, models: Models) -> None:
        self._options = options
        self._models = models
        self._folder = StateFolder(options.folder)
        self._seen: dict[str, int] = {}
        self._digest = b""
        self.trouble: dict[str, str] = {}

    async def look(self) -> bool:
        """Load what is new; says whether the look succeeded."""
        try:
            found = await self._found()
            for published in found:
                self._models.take(published, await asyncio.to_thread(held, published))
        except (httpx.HTTPError, msgspec.DecodeError, ArtefactError, OSError) as error:
            self.trouble = {"training server": f"{type(error).__name__}: {error}"}
            return False
        self.trouble = {}
        return True

    async def watch(self) -> None:
        """Look for as long as the server runs."""
        while True:
            await asyncio.sleep(ASK_S if self._options.training_url else LOOK_S)
            await self.look()

    async def _found(self) -> list[Published]:
        if not self._options.training_url:
            return await asyncio.to_thread(lambda: list(self._folder.changed(self._seen)))
        headers = {"authorization": f"Bearer {self._options.token}"} if self._options.token else {}
        async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
            answer = await client.get(f"{self._options.training_url}/models/published", headers=headers)
        answer.raise_for_status()
        digest = hashlib.sha256(answer.content).digest()
        if digest == self._digest:
            return []
        self._digest = digest
        return _published.decode(answer.content)
