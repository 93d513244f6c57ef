"""No name, phone number or birth date stands in an address: what our pages put there is listed, all codes and days."""

from __future__ import annotations

import re
from pathlib import Path

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
BY_GET = {
    *(
        "action",
        "colleague",
        "day",
        "doctor",
        "hold",
        "person",
        "rest",
        "since",
        "subject",
        "together",
        "until",
        "visit_type",
    ),
}
"""Fields of forms that are sent by GET: ids, codes and days of the clinic."""
IN_LINKS = {
    *("all", "before", "change", "day", "doctor", "names", "q", "rest", "sent", "together", "visit_type", "week"),
}
"""What our own links say after their question mark; `q` is sealed."""
FORM = re.compile(r"<form[^>]*method=.get.*?</form>", re.DOTALL)
FIELD = re.compile(r"""ui\.(?:field|select|area|radios|checkboxes|date|password)\("(\w+)"|\bname="(\w+)\"""")
LINK = re.compile(r"""(?:href|action|src|hx-get)="([^"]*\?[^"]*)\"""")


def test_forms_sent_by_get_hold_nothing_of_a_person() -> None:
    seen = {}
    for path in TEMPLATES.rglob("*.html"):
        for form in FORM.findall(path.read_text("utf-8")):
            seen[path.name] = {one or other for one, other in FIELD.findall(form)}
    assert len(seen) >= 4, "the forms were read"
    assert {name: fields - BY_GET for name, fields in seen.items() if fields - BY_GET} == {}


def test_links_hold_nothing_of_a_person() -> None:
    seen: dict[str, set[str]] = {}
    for path in TEMPLATES.rglob("*.html"):
        for link in LINK.findall(path.read_text("utf-8")):
            said = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", link).replace("&amp;", "&")
            seen.setdefault(path.name, set()).update(re.findall(r"[?&](\w+)", said))
    assert sum(map(len, seen.values())) > 8, "the links were read"
    assert {name: fields - IN_LINKS for name, fields in seen.items() if fields - IN_LINKS} == {}
