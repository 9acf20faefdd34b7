"""Where the queue of runs is: what RUN_QUEUE_URL and REDIS_URL say, and what is refused."""

import subprocess
import sys

import pytest

from app.durable.engine import build_engine
from app.durable.engines.in_process import InProcessEngine
from app.durable.engines.saq_postgres import PostgresEngine
from app.durable.engines.saq_redis import RedisEngine
from app.errors import ConfigurationError
from app.settings import load

REDIS = "redis://127.0.0.1:6379/0"


def test_without_an_address_the_queue_is_in_this_process() -> None:
    assert isinstance(build_engine(load()), InProcessEngine)


def test_without_a_queue_of_its_own_the_store_is_the_queue() -> None:
    assert isinstance(build_engine(load(redis_url=REDIS)), RedisEngine)


def test_a_queue_of_its_own_comes_first() -> None:
    built = build_engine(load(redis_url=REDIS, run_queue_url="postgresql://agent@db:5432/runs"))
    assert isinstance(built, PostgresEngine)


def test_a_queue_without_a_shared_store_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"RUN_QUEUE_URL: .* set REDIS_URL"):
        build_engine(load(run_queue_url=REDIS))


@pytest.mark.parametrize(
    "url", ["redis://:se/cret@host", "rediss://host:0", "postgresql://u:hunter2@host:port/db", "postgresql://bad host"]
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^RUN_QUEUE_URL: ") as refused:
        build_engine(load(redis_url=REDIS, run_queue_url=url))
    assert "hunter2" not in str(refused.value)
    assert "cret" not in str(refused.value)


def test_no_client_is_loaded_before_the_queue_is_used() -> None:
    code = f"""
import sys
from app.durable.engine import build_engine
from app.settings import load
build_engine(load())
build_engine(load(redis_url="{REDIS}"))
build_engine(load(redis_url="{REDIS}", run_queue_url="postgresql://db/runs"))
sys.exit(" ".join({{"saq", "redis", "psycopg"}} & sys.modules.keys()) or 0)
"""
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (loaded.returncode, loaded.stderr) == (0, "")
