"""Writes k8s/prometheus-rules.yml, the alerts for a Prometheus without an operator; --check only says if it is stale.

It has the chart's default thresholds, and takes the series of the scrape job `agent-api`. The local cluster and
docker-compose.yaml load it.
"""

import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
RULES = ROOT / "k8s" / "prometheus-rules.yml"
HEAD = "# The alerts of charts/agent-api/files/alerts.yaml, with the chart's defaults: made by make helm-docs.\n"
MATCHERS = 'job="agent-api"'


def rendered(helm: str) -> str:
    """The rule file. Raises CalledProcessError when helm does."""
    done = subprocess.run(
        [helm, "template", "agent-api", str(ROOT / "charts" / "agent-api"), "--kube-version", "1.34.0",
         "--set", "metrics.prometheusRule.enabled=true", "--set", f"metrics.prometheusRule.matchers={MATCHERS}",
         "--show-only", "templates/prometheusrule.yaml"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    groups = yaml.safe_load(done.stdout)["spec"]["groups"]
    return HEAD + yaml.dump({"groups": groups}, Dumper=Blocks, sort_keys=False, width=10_000, allow_unicode=True)


class Blocks(yaml.SafeDumper):
    """Writes a text of several lines as a block."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


Blocks.add_representer(str, _text)


def main(arguments: list[str]) -> int:
    helm = subprocess.run([ROOT / "scripts" / "helm"], capture_output=True, text=True, check=True).stdout.strip()
    fresh = rendered(helm)
    if "--check" in arguments:
        if not RULES.exists() or RULES.read_text() != fresh:
            print("k8s/prometheus-rules.yml is stale: run make helm-docs")
            return 1
        return 0
    RULES.write_text(fresh)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
