"""Each wrapper of `web/templates/macros` renders under StrictUndefined and shows text as text."""

import json
from pathlib import Path

import pytest
from jinja2 import ChainableUndefined, Environment, FileSystemLoader, PackageLoader, StrictUndefined, nodes
from markupsafe import Markup

TEMPLATES = Path(__file__).parents[2] / "web" / "templates"
EVIL = "<img src=x onerror=alert(1)>\"'"


@pytest.fixture(scope="module")
def env() -> Environment:
    components = Environment(
        loader=PackageLoader("nhsuk_frontend_jinja"), undefined=ChainableUndefined, autoescape=True, trim_blocks=True
    )

    def nhsuk(component: str, params: dict[str, object]) -> Markup:
        module = components.get_template(f"nhsuk/components/{component}/macro.jinja").module
        first, *rest = component.split("-")
        return Markup(getattr(module, first + "".join(part.title() for part in rest))(params))

    ours = Environment(loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, autoescape=True)
    ours.globals.update(nhsuk=nhsuk, _=lambda text: text, asset=lambda name: f"/static/{name}")
    return ours


@pytest.mark.parametrize(
    "call",
    [
        "ui.name(evil)",
        "ui.button(evil, kind='secondary', name='a', value=evil)",
        "ui.button(evil, href='/x')",
        "ui.post('/x', evil, fields={'a': evil})",
        "ui.field('a', evil, value=evil, hint=evil, errors={'a': evil}, width='10', required=true)",
        "ui.password('a', evil, errors={'a': evil})",
        "ui.area('a', evil, value=evil, hint=evil)",
        "ui.select('a', evil, [('x', evil)], value='x')",
        "ui.radios('a', evil, [('x', evil, evil), ('y', 'Y')], value='x', hint=evil)",
        "ui.checkboxes('a', evil, [('x', evil)], values=['x'])",
        "ui.date('a', evil, day=evil, errors={'a': evil})",
        "ui.error_summary({'a': evil, '': evil})",
        "ui.summary([(evil, evil), (evil, evil, '/x', evil)])",
        "ui.tag(evil, 'green')",
        "ui.notice(evil)",
        "ui.panel(evil, evil)",
        "ui.back('/x', evil)",
        "ui.empty(evil)",
        "ui.progress(0.4, evil)",
    ],
)
def test_a_macro_shows_text_as_text(env: Environment, call: str) -> None:
    source = f"{{% import 'macros/parts.html' as ui with context %}}{{{{ {call} }}}}"
    html = env.from_string(source).render(evil=EVIL)
    assert "&lt;img src=x" in html
    assert "<img" not in html
    assert "NHS" not in html


def test_the_layout_renders_with_and_without_its_optional_variables(env: Environment) -> None:
    base = {
        "clinic_name": EVIL,
        "lang": "en",
        "dir": "ltr",
        "csp_nonce": "n0",
        "demo": False,
        "env": "test",
        "user": None,
    }
    plain = env.get_template("layout.html").render(base)
    full = env.get_template("layout.html").render(
        base
        | {
            "demo": True,
            "user": {"name": EVIL, "role_words": "doctor"},
            "nav": [{"href": "/a", "text": EVIL, "current": True}],
            "clinic_live": {"clinic": "c1", "visit_url": "/c/c1/visits/{room}"},
            "clinic_phone": "+44 20 7946 0000",
        }
    )
    for html in (plain, full):
        assert "<img src=x" not in html
        assert "NHS" not in html
        assert " style=" not in html
    assert 'data-clinic="c1"' in full
    assert 'data-clinic="c1"' not in plain
    assert "tel:+442079460000" in full


def test_the_visit_page_carries_its_configuration_safely(env: Environment) -> None:
    config = {"participation": "p1", "note": {"text": "</script><script>alert(1)</script>"}}
    html = env.get_template("visit/room.html").render(
        clinic_name="Harbour Clinic", lang="ar", dir="rtl", csp_nonce="n0", demo=False, env="test", user=None,
        config=config, visit_title="x",
    )  # fmt: skip
    raw = html.split('id="room-config">')[1].split("</script>")[0]
    assert json.loads(raw) == config
    assert 'dir="rtl"' in html


STAFFS = {"_", "clinic_name", "day_words", "doctor", "heading", "invited", "is_own", "is_over", "kind_id", "line"}
NAMES_NO_PATIENT = STAFFS | {"member", "moving", "shown", "signed_off", "visit_title"}
"""What a page's title may hold: the staff's, the clinic's, the day's. `visit_title` is None while names are hidden."""
PAGES = sorted(str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*.html"))


@pytest.mark.parametrize("page", PAGES)
def test_no_window_title_names_a_patient_while_names_are_hidden(env: Environment, page: str) -> None:
    """A screen that is shared shows the titles of all windows, before any script has run."""
    parsed = env.parse((TEMPLATES / page).read_text("utf-8"))
    for block in parsed.find_all(nodes.Block):
        if block.name != "title":
            continue
        told = {one.name for one in block.find_all(nodes.Name)}
        assert told <= NAMES_NO_PATIENT or "names_hidden" in told, told - NAMES_NO_PATIENT


@pytest.mark.parametrize("page", ["records/visit.html", "records/handed.html"])
def test_a_hidden_patients_title_is_the_clinics_name(env: Environment, page: str) -> None:
    source = (TEMPLATES / page).read_text("utf-8")
    title = env.from_string(source[source.index("{% block title %}") :].split("{% endblock %}")[0] + "{% endblock %}")
    told = {"clinic_name": "Harbour Clinic", "patient": {"name": "Zoë Ångström"}}
    assert title.render(told, names_hidden=True) == "Harbour Clinic"
    assert title.render(told, names_hidden=False) == "Zoë Ångström"
