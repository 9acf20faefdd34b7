"""The APIs that a run can be asked through: each reads requests and writes answers, events and errors its own way."""
