"""Access tokens: the custom app's, which doesn't expire, and those of the client-credentials grant, which do."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tokens:
    """One store's credentials, and the tokens given out."""

    access_token: str
    client_id: str
    client_secret: str
    _issued: OrderedDict[str, float] = field(default_factory=OrderedDict)

    def accepts(self, token: str, now: float) -> bool:
        """Whether `X-Shopify-Access-Token` is good at `now` (epoch seconds)."""
        if token and hmac.compare_digest(token.encode(), self.access_token.encode()):
            return True
        return now < self._issued.get(token, 0.0)

    def knows(self, client_id: str, client_secret: str) -> bool:
        """Whether these are the app's credentials."""
        same_id = hmac.compare_digest(client_id.encode(), self.client_id.encode())
        return hmac.compare_digest(client_secret.encode(), self.client_secret.encode()) and same_id

    def issue(self, now: float, seconds: float) -> str:
        """A new token, good for that long; the last hundred stay good side by side."""
        token = f"shpat_{secrets.token_hex(16)}"
        self._issued[token] = now + seconds
        while len(self._issued) > 100:
            self._issued.popitem(last=False)
        return token
