"""Each DB_* setting at work on a real server, by TCP and password where that is the question."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zerogex import app
from zerogex.errors import SettingsError, StoreError, StoreRefusesUs, StoreUnavailable
from zerogex.store import connections
from zerogex.store.connections import ConnectionPool
from zerogex.store.embedded import EmbeddedServer
from zerogex.store.postgres import PostgresStore


@pytest.fixture
def by_tcp(database, postgres_server: EmbeddedServer) -> dict[str, object]:
    """Where the test database is by TCP, where the server asks for a password."""
    return {"DB_HOST": "127.0.0.1", "DB_PORT": database.port, "DB_NAME": database.dbname, "DB_USER": database.user}


@pytest.fixture
def password(postgres_server: EmbeddedServer) -> str:
    return (postgres_server.home / "postgres.password").read_text().strip()


def entered(loaded) -> tuple[str, str]:
    """The database and role that a session of these settings has."""
    with app.database(loaded) as where:
        pool = ConnectionPool(where)
        with pool.connection() as connection:
            row = connection.execute("SELECT current_database(), current_user").fetchone()
        pool.close()
    assert row is not None
    return row[0], row[1]


def test_host_port_name_and_user_say_where_and_as_whom(given, by_tcp, password: str) -> None:
    loaded = given(**by_tcp, DB_PASSWORD_PROVIDER="env", DB_PASSWORD=password)
    assert entered(loaded) == (by_tcp["DB_NAME"], by_tcp["DB_USER"])
    for name, wrong in (("DB_PORT", 1), ("DB_NAME", "nowhere"), ("DB_USER", "nobody"), ("DB_HOST", "127.0.0.1x")):
        with pytest.raises(StoreError, match=str(wrong)):
            entered(given(**{**by_tcp, name: wrong}, DB_PASSWORD_PROVIDER="env", DB_PASSWORD=password))


def test_a_wrong_password_is_one_sentence_that_does_not_show_it(given, by_tcp) -> None:
    with pytest.raises(StoreError) as caught:
        entered(given(**by_tcp, DB_PASSWORD_PROVIDER="env", DB_PASSWORD="canary"))
    assert "password authentication failed" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_who_is_not_let_in_learns_why_and_what_to_do(given, by_tcp, password: str) -> None:
    known = {**by_tcp, "DB_PASSWORD_PROVIDER": "env", "DB_PASSWORD": password}
    for wrong, mend in (
        ({"DB_PASSWORD": "x"}, "check DB_USER and where DB_PASSWORD_PROVIDER gets the password from"),
        ({"DB_USER": "nobody"}, "check DB_USER"),
        ({"DB_PASSWORD_PROVIDER": "pgpass", "DB_PASSWORD": ""}, "~/.pgpass"),
    ):
        with pytest.raises(StoreRefusesUs, match="does not let us in") as caught:
            entered(given(**{**known, **wrong}))
        assert mend in str(caught.value)
        assert caught.value.exit_code == 77
    with pytest.raises(StoreUnavailable, match="make it: zerogex db init") as missing:
        entered(given(**{**known, "DB_NAME": "nowhere"}))
    assert missing.value.exit_code == 69


def test_pgpass_is_the_default_provider(given, by_tcp, password: str, tmp_path: Path, monkeypatch) -> None:
    file = tmp_path / "pgpass"
    file.write_text(f"127.0.0.1:{by_tcp['DB_PORT']}:*:{by_tcp['DB_USER']}:{password}\n")
    file.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(file))
    assert entered(given(**by_tcp))[0] == by_tcp["DB_NAME"]
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "none"))
    with pytest.raises(StoreError, match="password"):
        entered(given(**by_tcp))


def test_sslmode_require_refuses_a_server_without_tls(given, by_tcp, password: str) -> None:
    known = {**by_tcp, "DB_PASSWORD_PROVIDER": "env", "DB_PASSWORD": password}
    assert entered(given(**known, DB_SSLMODE="disable"))
    with pytest.raises(StoreError, match="SSL"):
        entered(given(**known, DB_SSLMODE="require"))


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Secrets Manager on a real socket."""
    moto_server = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def secret(aws: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], None]:
    """A function that keeps a secret in a region."""
    import boto3

    for name, value in (("AWS_ENDPOINT_URL", aws), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")):
        monkeypatch.setenv(name, value)

    def keep(name: str, value: str, region: str) -> None:
        boto3.client("secretsmanager", region_name=region).create_secret(Name=name, SecretString=value)

    return keep


def test_aws_secrets_manager_gives_the_password_by_name_and_region(given, by_tcp, password: str, secret) -> None:
    known = {**by_tcp, "DB_PASSWORD_PROVIDER": "aws_secrets_manager"}
    secret("zerogex/db/password", password, "us-east-1")
    secret("desk/db", f'{{"username": "x", "password": "{password}"}}', "eu-west-1")
    assert entered(given(**known))[0] == by_tcp["DB_NAME"]
    assert entered(given(**known, DB_SECRET_NAME="desk/db", AWS_REGION="eu-west-1"))[0] == by_tcp["DB_NAME"]
    with pytest.raises(SettingsError, match="in us-east-1 gave no secret 'desk/db'"):
        entered(given(**known, DB_SECRET_NAME="desk/db"))


def test_the_pool_holds_at_most_pool_max_and_keeps_pool_min(given, database, monkeypatch) -> None:
    monkeypatch.setattr(connections, "_IDLE_S", 0.0)
    where = {"DB_HOST": database.host, "DB_PORT": database.port, "DB_NAME": database.dbname, "DB_USER": database.user}
    with app.database(given(**where, DB_POOL_MIN=2, DB_POOL_MAX=3)) as config:
        pool = ConnectionPool(config)
        together = threading.Barrier(3)  # three at once, or none gets on

        def hold(_: int) -> int:
            with pool.connection() as connection:
                together.wait(10)
                count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                return int(connection.execute(count).fetchone()[0])  # type: ignore[index]

        with ThreadPoolExecutor(6) as threads:
            assert max(threads.map(hold, range(6))) <= 3
        with pool.connection() as connection:
            assert not connection.closed
        assert len(pool._idle) == 2
        pool.close()


def test_with_no_db_setting_the_embedded_server_is_used_and_kept_apart_when_simulated(given, tmp_path: Path) -> None:
    assert not given().has_database
    assert given(DB_NAME="zerogex").has_database


def test_a_database_that_cannot_be_reached_is_one_sentence(given) -> None:
    loaded = given(DB_HOST="127.0.0.1", DB_PORT=1)
    with pytest.raises(StoreError) as caught, app.open_store(loaded) as store:
        assert isinstance(store, PostgresStore)
    assert "127.0.0.1:1" in str(caught.value)
    assert "\n" not in str(caught.value)
