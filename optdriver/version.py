"""The version, which stands here once."""

__version__ = "0.13.0"
