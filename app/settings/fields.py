"""The settings of a process, each a field of one of the classes that this one is made of."""

from typing import Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.settings.access import AccessSettings
from app.settings.caching import CacheSettings
from app.settings.durable import DurableSettings
from app.settings.http import HttpSettings
from app.settings.limits import LimitSettings
from app.settings.models import ModelSettings
from app.settings.process import ProcessSettings
from app.settings.resilience import ResilienceSettings
from app.settings.runs import RunSettings
from app.settings.safety import SafetySettings
from app.settings.state import StateSettings
from app.settings.telemetry import TelemetrySettings
from app.urls import check_proxy


class Settings(
    ProcessSettings,
    TelemetrySettings,
    SafetySettings,
    DurableSettings,
    RunSettings,
    LimitSettings,
    AccessSettings,
    StateSettings,
    CacheSettings,
    ResilienceSettings,
    ModelSettings,
    HttpSettings,
    BaseSettings,
):
    """Read with `load()`, which turns a bad value into a ConfigurationError that names it.

    The fields of the last base come first in every table.
    """

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    @model_validator(mode="after")
    def _check_proxies(self) -> Self:
        providers = {ref.partition("/")[0] for ref in self.models}
        if "ollama" in providers:
            check_proxy(self.ollama_api_base)
        if "openai" in providers:
            check_proxy(self.openai_base_url)
        if "anthropic" in providers:
            check_proxy(self.anthropic_base_url, any_http=True)
        return self

    @model_validator(mode="after")
    def _check_ports(self) -> Self:
        if self.port and self.port == self.metrics_port:
            raise ValueError("METRICS_PORT: must differ from PORT")
        return self
