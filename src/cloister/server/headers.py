"""Headers of every response, from the first one on: nothing foreign is loaded, framed, cached or referred to.

Spec: API-005, API-006.
"""

from __future__ import annotations

from typing import Final

CSP: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob:; "
    "font-src 'self'; media-src blob:; worker-src 'self'; connect-src 'self'; frame-src blob:; manifest-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types svelte-trusted-html cloister"
)
_PERMISSIONS: Final = (
    "accelerometer=(), camera=(self), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), "
    "microphone=(), payment=(), usb=()"
)
_ALWAYS: Final = (
    ("content-security-policy", CSP),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("cross-origin-resource-policy", "same-origin"),
    ("x-frame-options", "DENY"),
    ("permissions-policy", _PERMISSIONS),
)
_HSTS: Final = (("strict-transport-security", "max-age=31536000"),)


def security_headers(*, https: bool) -> list[tuple[bytes, bytes]]:
    """The fixed headers as ASGI pairs; with https also Strict-Transport-Security."""
    pairs = _ALWAYS + (_HSTS if https else ())
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in pairs]
