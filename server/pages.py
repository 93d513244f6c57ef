"""Renders pages: two Jinja environments, the assets' manifest, translations, and what every page's frame shows.

Templates belong to `web/templates/<area>/`; what a page says of its subject is the view's context.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from aiohttp import web
from jinja2 import ChainableUndefined, Environment, FileSystemLoader, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from server import context
from server.forms import in_language
from server.languages import SOURCE, Catalogue, accepted, choose, direction, load_catalogues
from server.permissions import StaffRole
from server.routing import ROUTES, Route, route_of
from signaling.words import N_

ROLE_WORDS = {
    StaffRole.DOCTOR: N_("Doctor"),
    StaffRole.SCHEDULER: N_("Scheduler"),
    StaffRole.ADMINISTRATOR: N_("Administrator"),
    StaffRole.PRIVACY_OFFICER: N_("Privacy officer"),
}

DAILY = ("clinic", "board", "book.find", "notes_open", "record.find")
"""What stands first in the navigation, in this order; one's own account stands last."""
OWN_ACCOUNT = "account"


@dataclass(frozen=True, slots=True)
class Pages:
    """What rendering needs, read once at start; one environment a language, since a compiled page holds its words."""

    environments: Mapping[str, Environment]
    manifest: Mapping[str, str]
    dist: Path
    catalogues: Mapping[str, Catalogue]


PAGES = web.AppKey("pages", Pages)


def load_pages(root: Path | None = None) -> Pages:
    """Reads templates and the built client from the package `web`, in the tree or in an installed wheel."""
    base = Path(str(files("web"))) if root is None else root
    dist = base / "dist"
    manifest = dist / "manifest.json"
    names: dict[str, str] = json.loads(manifest.read_text("utf-8")) if manifest.exists() else {}

    def asset(name: str) -> str:
        """The address of a built file; its name holds its content's hash, so it may be kept for ever."""
        return f"/static/{names[name]}"

    component = _component_of(_nhsuk_environment())
    catalogues = load_catalogues(dist)
    environments = {}
    for language, catalogue in catalogues.items():
        environments[language] = environment = _environment(base / "templates", catalogue)
        environment.globals |= {"nhsuk": component, "asset": asset}
    return Pages(environments, names, dist, catalogues)


def _environment(templates: Path, catalogue: Catalogue) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        autoescape=select_autoescape(default=True, default_for_string=True),
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.install_gettext_translations(catalogue.sentences, newstyle=True)  # type: ignore[attr-defined]
    environment.globals["client_words"] = catalogue.client
    return environment


def render(
    request: web.Request,
    template: str,
    values: Mapping[str, Any] | None = None,
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """The page as a response, never kept by caches."""
    pages, language = request.app[PAGES], language_of(request)
    shown = {**_frame(request), **(values or {})}
    shown["errors"] = {name: translate(request, said) for name, said in shown["errors"].items()}
    text = pages.environments[language].get_template(template).render(shown)
    answer = web.Response(text=text, status=status, content_type="text/html", headers=headers)
    answer.headers.setdefault("Cache-Control", "no-store")
    return answer


def language_of(request: web.Request) -> str:
    """The catalogue this page is written from: the patient's language on file, the browser's, the clinic's.

    On file counts only what differs from the clinic's own, which every patient starts with. Staff read the source.
    """
    if context.VIEWER in request:
        return SOURCE
    scope = request.get(context.CLINIC)
    of_clinic = scope.language if scope is not None else None
    on_file = request.get(context.LANGUAGE_ON_FILE)
    wanted = [
        None if on_file == of_clinic else on_file,
        *accepted(request.headers.get("Accept-Language", "")),
        of_clinic,
    ]
    return choose(wanted, request.app[PAGES].catalogues) or SOURCE


def translate(request: web.Request, sentence: str) -> str:
    """A sentence, finished or in parts (`forms.Sentence`), in the language of the request's page."""
    return in_language(sentence, request.app[PAGES].catalogues[language_of(request)].sentences.gettext)


def _frame(request: web.Request) -> dict[str, Any]:
    scope = request.get(context.CLINIC)
    language = language_of(request)
    return {
        "lang": language,
        "dir": direction(language),
        "env": context.settings(request).env,
        "csp_nonce": request.get(context.NONCE, ""),
        "demo": request.app.get(context.DEMO, False),
        "request_id": request.get(context.REQUEST_ID, ""),
        "clinic_name": scope.name if scope else "",
        "clinic_phone": scope.phone if scope else None,
        "clinic_slug": scope.slug if scope else "",
        "clinic_zone": scope.zone if scope else "",
        "revisitable": _is_revisitable(request),
        "home_url": f"/c/{scope.slug}/" if scope else "/",
        "user": _user(request),
        "nav": _navigation(request),
        "clinic_live": _live(request),
        "names_hidden": request.get(context.NAMES_HIDDEN, False),
        "errors": {},
    }


def _is_revisitable(request: web.Request) -> bool:
    """Whether the page's own address can be asked for again, as Back does: not where it only takes forms."""
    resource = request.match_info.route.resource
    return resource is not None and any(route.method in ("GET", "*") for route in resource)


def _user(request: web.Request) -> dict[str, str] | None:
    viewer, scope = request.get(context.VIEWER), request.get(context.CLINIC)
    if viewer is None or scope is None:
        return None
    words = ", ".join(translate(request, ROLE_WORDS[StaffRole(role)]) for role in viewer.roles)
    return {"name": viewer.name, "role_words": words, "sign_out_url": f"/c/{scope.slug}/sign-out"}


def _navigation(request: web.Request) -> Sequence[dict[str, Any]]:
    scope = request.get(context.CLINIC)
    if scope is None or request.get(context.VIEWER) is None:
        return []
    here = route_of(request)
    return [
        {
            "href": route.path.replace("{clinic}", scope.slug),
            "text": translate(request, route.nav or ""),
            "current": route is here,
        }
        for route in _shown(request)
    ]


def _shown(request: web.Request) -> list[Route]:
    actor = context.actor(request)
    shown = [route for route in request.app[ROUTES].values() if route.nav and route.may(actor)]
    places = {name: place for place, name in enumerate(DAILY)}
    return sorted(shown, key=lambda route: (places.get(route.name, len(places)), route.name == OWN_ACCOUNT))


def _live(request: web.Request) -> dict[str, str] | None:
    """What the arrivals bar of a doctor's every page needs."""
    scope = request.get(context.CLINIC)
    if scope is None or StaffRole.DOCTOR not in context.actor(request).roles:
        return None
    return {"clinic": scope.slug, "visit_url": f"/c/{scope.slug}/visits/{{room}}"}


def _nhsuk_environment() -> Environment:
    """Their macros lean on undefined names being empty; ours never do."""
    return Environment(
        loader=PackageLoader("nhsuk_frontend_jinja"),
        undefined=ChainableUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _component_of(environment: Environment) -> Any:
    def component(name: str, params: Mapping[str, Any]) -> Markup:
        """One component of nhsuk-frontend; only `text` is escaped, so user text never goes into `html`."""
        template = environment.get_template(f"nhsuk/components/{name}/template.jinja")
        return Markup(template.render(params=params))  # noqa: S704 (their template escapes every `text`)

    return component
