"""Every setting, once, read from the environment (and from `.env` in the working directory, if there is one)."""

from app.settings.fields import Settings
from app.settings.reading import load

__all__ = ["Settings", "load"]
