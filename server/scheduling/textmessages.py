"""How a text message leaves the house: through the gateway of the settings, whose address names the service.

Any service that apprise knows, or one's own by `jsons://host/path`; `{to}` stands for the phone number.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import quote

import apprise

from server.scheduling.delivery import DeliveryFailed

HOLE = "{to}"


@dataclass(frozen=True, slots=True, repr=False)
class TextGateway:
    """A service's address with a hole for the number."""

    address: str

    async def send(self, phone: str, text: str) -> None:
        """Hands it over. Raises DeliveryFailed."""
        # Its log lines hold the number, and personal data never reaches a log.
        logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
        service = apprise.Apprise()
        if not service.add(self.address.replace(HOLE, quote(phone, safe=""))):
            raise DeliveryFailed("recipient_refused", for_good=True)
        if not await service.async_notify(body=text, body_format=apprise.NotifyFormat.TEXT):
            raise DeliveryFailed("gateway_refused", for_good=False)


def parse_text_gateway(address: str) -> TextGateway:
    """Raises ValueError for what no service of apprise understands, or where the number has no place."""
    if HOLE not in address or not apprise.Apprise().add(address.replace(HOLE, "%2B4930123456")):
        raise ValueError("must be an address that apprise knows, with {to} where the phone number goes")
    return TextGateway(address)
