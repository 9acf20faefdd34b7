"""What labels of metrics can be, by the settings of this process."""

from collections.abc import Iterable

from app.models.catalog import Models
from app.models.decisions import REASONS
from app.models.failure_table import ATTEMPTED, GATES, RETRIED
from app.models.router import Router
from app.settings import Settings
from app.telemetry.known_series import Known


def known_labels(settings: Settings, models: Models, router: Router | None, tools: Iterable[str]) -> Known:
    """For `start_at_zero`."""
    return Known(
        models=tuple(models),
        embedding_models=() if settings.similar_answers == "never" else (settings.embedding_model,),
        outcomes=ATTEMPTED,
        gates=GATES,
        retried=RETRIED,
        tiers=() if router is None else [model.tier for model in router.tiers],
        tier_reasons=REASONS,
        tools=tuple(tools),
    )
