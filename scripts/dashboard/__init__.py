"""Grafana's dashboard as tables: `python -m scripts.dashboard` writes charts/agent-api/dashboards/agent-api.json."""
