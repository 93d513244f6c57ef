"""How a written message leaves the house: through the mail gateway of the settings, as one well-formed letter.

Which message, to whom and whether it may still go is for `jobs.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from urllib.parse import unquote, urlsplit

import aiosmtplib

from server.scheduling.calendar import one_line
from server.scheduling.wording import Facts, Words

TIMEOUT_S = 30.0
_PERMANENT = 500


class DeliveryFailed(Exception):  # noqa: N818 (a verdict, as everywhere)
    """The gateway said no, for now or `for_good`; the code names no person."""

    def __init__(self, code: str, *, for_good: bool) -> None:
        super().__init__(code)
        self.code = code
        self.for_good = for_good


@dataclass(frozen=True, slots=True, repr=False)
class Gateway:
    """A mail server, from an address such as smtp://user:password@host:587 or smtps://host."""

    host: str
    port: int
    is_tls: bool
    user: str | None = None
    password: str | None = None

    async def send(self, letter: EmailMessage) -> None:
        """Hands the letter over. Raises DeliveryFailed."""
        try:
            await aiosmtplib.send(
                letter,
                hostname=self.host,
                port=self.port,
                use_tls=self.is_tls,
                username=self.user,
                password=self.password,
                timeout=TIMEOUT_S,
            )
        except aiosmtplib.SMTPRecipientsRefused:
            raise DeliveryFailed("recipient_refused", for_good=True) from None
        except aiosmtplib.SMTPResponseException as error:
            raise DeliveryFailed(f"gateway_{error.code}", for_good=error.code >= _PERMANENT) from None
        except (aiosmtplib.SMTPException, OSError):
            raise DeliveryFailed("gateway_unreachable", for_good=False) from None


def parse_gateway(address: str) -> Gateway:
    """Raises ValueError for what is no smtp:// or smtps:// address."""
    parts = urlsplit(address)
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise ValueError("must be an address such as smtp://user:password@mail.example.org:587")
    is_tls = parts.scheme == "smtps"
    return Gateway(
        host=parts.hostname,
        port=parts.port or (465 if is_tls else 587),
        is_tls=is_tls,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def letter_of(words: Words, facts: Facts, message_id: str) -> EmailMessage:
    """Text, HTML and calendar part; the same Message-ID when it is sent once more. Raises ValueError (bad address)."""
    letter = EmailMessage(policy=SMTP)
    letter["From"] = _address(facts.clinic_name, facts.sender)
    letter["To"] = _address(facts.first_name, facts.recipient)
    letter["Subject"] = words.subject
    letter["Date"] = format_datetime(facts.written_at)
    letter["Message-ID"] = f"<{message_id}@{facts.sender.rpartition('@')[2]}>"
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(words.text)
    if words.html is not None:
        letter.add_alternative(words.html, subtype="html")
    if words.ics is not None and words.ics_method is not None:
        method = {"method": words.ics_method}
        letter.add_alternative(words.ics.decode(), subtype="calendar", params=method)
        file = {**method, "charset": "utf-8"}
        letter.add_attachment(words.ics, maintype="text", subtype="calendar", filename="appointment.ics", params=file)
    return letter


def _address(name: str, email: str) -> Address:
    return Address(one_line(name), addr_spec=one_line(email))
