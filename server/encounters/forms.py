"""What may be typed at the doors of a visit and into a guest's invitation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from server.names import Name
from signaling.words import N_


class CardForm(BaseModel):
    """The patient's card; every part may be left out, and none of them is judged: it is what the person says."""

    identity: Literal["self", "helping", "no", "not_given"] = "not_given"
    place: Annotated[str | None, Field(max_length=300, title=N_("where you are now"))] = None
    phone: Annotated[str | None, Field(max_length=32, title=N_("the phone number"))] = None
    others: Annotated[str | None, Field(max_length=300, title=N_("who is with you"))] = None
    agrees: Literal["yes"] | None = None


class GuestForm(BaseModel):
    """Whom the doctor brings in; the patient sees name and role before they may come."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[Name, Field(max_length=1000, title=N_("their name"))]
    role: Literal["guest", "interpreter"]
    relation: Annotated[str | None, Field(max_length=200, title=N_("the relation"))] = None


class AgainForm(BaseModel):
    """What a film made again shows beside the pictures."""

    model_config = ConfigDict(extra="forbid")

    names: Literal["yes"] | None = None
    clock: Literal["yes"] | None = None


class ReasonForm(BaseModel):
    """An answer to a wish about a recording, or a hold: nothing without its reason."""

    model_config = ConfigDict(extra="forbid")

    answer: Literal["grant", "refuse", "hold", "lift"]
    reason: Annotated[str, Field(max_length=500, title=N_("the reason"))] = ""


class WishForm(BaseModel):
    """What should become of a recording; a form sent with nothing chosen changes nothing."""

    model_config = ConfigDict(extra="forbid")

    choice: Literal["keep", "delete_mine", "delete_all"] | None = None
