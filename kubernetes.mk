# What the root Makefile includes for the chart and the local cluster.
CHART := charts/agent-api
KUBECTL_KIND := kubectl --context kind-agent-api

.PHONY: kind-up kind-down kind-status port-forward see e2e helm-lint helm-docs chart-test chart-golden

kind-up: ## make the local cluster with everything in it, or bring it up to date
	@MAKE="$(MAKE)" scripts/kind-up

kind-down: ## remove the local cluster
	kind delete cluster --name agent-api

kind-status: ## show what runs in the local cluster
	@$(KUBECTL_KIND) get pods --all-namespaces
	@helm --kube-context kind-agent-api list --all-namespaces
	@$(KUBECTL_KIND) top pods --namespace agent-api --containers || true

port-forward: ## forward the API, Jaeger and Prometheus of the local cluster, and print what to try
	@scripts/kind-port-forward

see: ## show the way from an alert to its cause in the local cluster (docs/observability.md)
	@scripts/see-it

e2e: .venv/ready kind-up ## test the chart in the local cluster: answers, traces, rollouts, scaling, bad input
	AGENT_API_E2E=1 .venv/bin/python -m pytest -o addopts="-raP --strict-markers --strict-config --import-mode=importlib" \
		--timeout 600 --durations 10 tests/e2e

helm-lint: .venv/ready ## check the chart: helm lint, checkov, promtool; kubeconform and kube-score must be on PATH
	$$(scripts/helm) lint --strict $(CHART)
	$$(scripts/helm) lint --strict $(CHART) --values $(CHART)/values-kind.yaml
	REQUIRE_CHART_TOOLS=1 .venv/bin/python -m pytest tests/chart tests/observability/test_alerts.py --quiet --no-cov

helm-docs: .venv/ready ## make the values of plain settings, the table of values in the chart's README, and the local rules
	.venv/bin/python -m scripts.chart_settings
	.venv/bin/python scripts/chart_docs.py
	.venv/bin/python -m scripts.chart_alerts
	.venv/bin/python -m scripts.dashboard

chart-test: .venv/ready ## test the rendered chart alone
	.venv/bin/python -m pytest tests/chart --quiet --no-cov

chart-golden: .venv/ready ## accept the rendered manifests as they now are; look at the diff before you commit
	UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/chart/test_golden.py --quiet --no-cov
