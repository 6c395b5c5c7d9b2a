"""Keep every change of an API gateway's configuration, and restore any moment of it."""

__version__ = "0.1.0"
