"""The headers every answer carries: content policy with a nonce, Trusted Types, closed devices.

Which pages open camera and microphone is said by their routes; uploads set a stricter policy of their own.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from aiohttp import web
from secure import (
    ContentSecurityPolicy,
    CrossOriginOpenerPolicy,
    CrossOriginResourcePolicy,
    PermissionsPolicy,
    ReferrerPolicy,
    Secure,
    StrictTransportSecurity,
    XContentTypeOptions,
    XFrameOptions,
)

from server import context
from server.routing import route_of

SELF = "'self'"
NONE = "'none'"
DEVICES = ("camera", "microphone", "display-capture", "speaker-selection")
SHOWING = ("fullscreen", "picture-in-picture")
CLOSED = (
    "accelerometer",
    "browsing-topics",
    "geolocation",
    "gyroscope",
    "hid",
    "magnetometer",
    "midi",
    "payment",
    "serial",
    "usb",
    "xr-spatial-tracking",
)
HSTS_S = 365 * 24 * 3600


def new_nonce() -> str:
    return secrets.token_urlsafe(18)


def content_policy(nonce: str) -> ContentSecurityPolicy:
    """Nothing but our own: scripts by nonce, markup only through the page's one Trusted Types policy."""
    return (
        ContentSecurityPolicy()
        .default_src(NONE)
        .script_src(f"'nonce-{nonce}'")
        .style_src(SELF)
        .img_src(SELF, "data:", "blob:")
        .media_src(SELF, "blob:")
        .font_src(SELF)
        .connect_src(SELF)
        .form_action(SELF)
        .base_uri(NONE)
        .frame_ancestors(NONE)
        .manifest_src(SELF)
        .trusted_types("default")
        .require_trusted_types_for("'script'")
    )


def permissions_policy(*, uses_camera: bool) -> PermissionsPolicy:
    policy = PermissionsPolicy()
    for feature in DEVICES:
        policy.add_directive(feature, *(("self",) if uses_camera else ()))
    for feature in SHOWING:
        policy.add_directive(feature, "self")
    for feature in CLOSED:
        policy.add_directive(feature)
    return policy


def headers_of(*, nonce: str, uses_camera: bool, is_https: bool) -> Mapping[str, str]:
    """All of them by name, as one answer carries them."""
    policy = Secure(
        csp=content_policy(nonce),
        permissions=permissions_policy(uses_camera=uses_camera),
        # Not "no-referrer": under it browsers send `Origin: null` with our own forms.
        referrer=ReferrerPolicy().same_origin(),
        xcto=XContentTypeOptions().nosniff(),
        xfo=XFrameOptions().deny(),
        coop=CrossOriginOpenerPolicy().same_origin(),
        corp=CrossOriginResourcePolicy().same_origin(),
        hsts=StrictTransportSecurity().max_age(HSTS_S).include_subdomains() if is_https else None,
    )
    return dict(policy.headers)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Runs when an answer begins, whoever made it; a header the handler set itself stands."""
    route = route_of(request)
    headers = headers_of(
        nonce=request.get(context.NONCE) or new_nonce(),
        uses_camera=bool(route and route.uses_camera),
        is_https=context.settings(request).origin.startswith("https://"),
    )
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "Bedside"
    if request.get(context.REQUEST_ID):
        response.headers.setdefault("X-Request-Id", request[context.REQUEST_ID])
