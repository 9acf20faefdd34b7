"""agent-api: a request becomes a run, a run is a stream of events, every interface renders that stream."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("agent-api")
except PackageNotFoundError:  # run from a checkout, without an installation
    __version__ = "0.1.0"
