"""What APISIX's keys and values mean, and how its standalone file is written. Pure: bytes in, bytes out."""

from replicator.apisix.encryption import EncryptFields
from replicator.apisix.options import DEFAULT_KEYRING, Options, keyring, plugin_lists
from replicator.apisix.rendering import Renderer, Rendering, render
from replicator.apisix.report import Inexact, Refusal, Report, Stripped

__all__ = [
    "DEFAULT_KEYRING",
    "EncryptFields",
    "Inexact",
    "Options",
    "Refusal",
    "Renderer",
    "Rendering",
    "Report",
    "Stripped",
    "keyring",
    "plugin_lists",
    "render",
]
