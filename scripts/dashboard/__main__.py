"""Writes the dashboard; with --check, only says whether it is stale."""

import json
import sys
from pathlib import Path

from scripts.dashboard import background, models, runs, service
from scripts.dashboard.grafana import placed
from scripts.dashboard.head import dashboard

PATH = Path(__file__).parents[2] / "charts" / "agent-api" / "dashboards" / "agent-api.json"


def main(arguments: list[str]) -> int:
    fresh = (
        json.dumps(
            dashboard(list(placed((*runs.ROWS, *background.ROWS, *models.ROWS, *service.ROWS)))),
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )
    if "--check" in arguments:
        if PATH.read_text() != fresh:
            print("charts/agent-api/dashboards/agent-api.json is stale: run make helm-docs")
            return 1
        return 0
    PATH.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
