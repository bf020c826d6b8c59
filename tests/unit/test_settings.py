"""Environment beats .env beats default; every wrong setting is named at once."""

from pathlib import Path

import pytest

from zerogex import settings as table
from zerogex.domain.exposure import DealerModel
from zerogex.domain.iv import IvSource
from zerogex.errors import SettingsError


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in table.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    env_file = tmp_path / "env"
    monkeypatch.setenv("ZEROGEX_ENV_FILE", str(env_file))
    return env_file


def test_defaults_need_nothing() -> None:
    loaded = table.load()
    assert set(loaded.origins.values()) == {"default"}
    assert loaded.settings.underlyings == ("SPY",)
    assert loaded.settings.simulated
    assert not loaded.has_database


def test_the_environment_beats_the_file_beats_the_default(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clean.write_text("RISK_FREE_RATE=0.04\nIV_MAX=3\n")
    monkeypatch.setenv("IV_MAX", "4")
    loaded = table.load()
    assert (loaded.settings.risk_free_rate, loaded.settings.iv_max, loaded.settings.iv_min) == (0.04, 4.0, 0.01)
    origins = [loaded.origins[name] for name in ("risk_free_rate", "iv_max", "iv_min")]
    assert origins == [".env", "environment", "default"]


def test_inline_comments_and_quotes_are_understood(clean: Path) -> None:
    clean.write_text(
        "STREAM_UNDERLYING=SPY, qqq   # two of them\nDB_PASSWORD='a # b'\nLOG_LEVEL=DEBUG # chatty\nDB_NAME=\n"
    )
    loaded = table.load()
    assert loaded.settings.underlyings == ("SPY", "QQQ")
    assert loaded.settings.db_password and loaded.settings.db_password.get_secret_value() == "a # b"
    assert loaded.settings.log_level.value == "DEBUG"
    assert loaded.origins["db_name"] == "default"


def test_every_wrong_setting_is_reported_at_once_with_an_example(clean: Path) -> None:
    clean.write_text(
        "RISK_FREE_RATE=abc\nDB_PORT=99999\nIV_PRIORITY=api,guess\nSTREAM_STRIKE_DISTANCE=wide\nIV_MAX=nan\n"
    )
    with pytest.raises(SettingsError) as caught:
        table.load()
    message = str(caught.value)
    assert message.startswith("5 settings are wrong")
    for name, came in (
        ("RISK_FREE_RATE", "abc"),
        ("DB_PORT", "99999"),
        ("IV_PRIORITY", "api,guess"),
        ("IV_MAX", "nan"),
    ):
        assert f"{name} is '{came}'; expected" in message
        assert table.example(name.lower()) in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("TRADESTATION_CLIENT_ID=a", "TRADESTATION_CLIENT_SECRET, TRADESTATION_REFRESH_TOKEN not set"),
        ("IV_MIN=2\nIV_MAX=1", "IV_MIN is 2.0, not below IV_MAX 1.0"),
        ("DB_POOL_MIN=9", "DB_POOL_MIN is 9, above DB_POOL_MAX 8"),
        ("DB_PASSWORD_PROVIDER=env", "DB_PASSWORD is not set"),
    ],
)
def test_settings_are_checked_together(clean: Path, text: str, words: str) -> None:
    clean.write_text(text)
    with pytest.raises(SettingsError, match="1 setting is wrong") as caught:
        table.load()
    assert words in str(caught.value)


def test_single_and_paired_settings_that_are_wrong_are_reported_together(clean: Path) -> None:
    clean.write_text(
        "DB_PORT=abc\nANALYTICS_INTERVAL=0\nWEBSOCKET_ENABLED=perhaps\nDB_POOL_MIN=9\nIV_MIN=6\nIV_MAX=x\n"
    )
    with pytest.raises(SettingsError) as caught:
        table.load()
    assert str(caught.value).splitlines() == [
        "5 settings are wrong:",
        "  DB_PORT is 'abc'; expected a whole number (example: DB_PORT=5432)",
        "  ANALYTICS_INTERVAL is '0'; expected at least 1 (example: ANALYTICS_INTERVAL=60)",
        "  IV_MAX is 'x'; expected a number (example: IV_MAX=5.0)",
        "  WEBSOCKET_ENABLED is 'perhaps'; expected true or false (example: WEBSOCKET_ENABLED=true)",
        "  DB_POOL_MIN is 9, above DB_POOL_MAX 8 (example: DB_POOL_MIN=1)",
    ]


def test_a_line_that_sets_nothing_is_named_by_its_number_and_not_shown(clean: Path) -> None:
    clean.write_text("DB_HOST=db  # ours\n\nDB_PASSWORD canary-2\nDB_NAME\nexport DB_USER=me\n")
    with pytest.raises(SettingsError) as caught:
        table.load()
    assert [line.split(" of ")[0].strip() for line in str(caught.value).splitlines()[1:]] == ["line 3", "line 4"]
    assert "canary-2" not in str(caught.value) and "expected NAME=value" in str(caught.value)


def test_a_file_that_is_no_text_is_one_sentence(clean: Path) -> None:
    clean.write_bytes(b"DB_PORT=5432\n\xff\xfe=3\n")
    with pytest.raises(SettingsError, match=r"is not UTF-8 text \(byte 14\); save it as UTF-8"):
        table.load()


def test_a_wrong_secret_is_never_shown(clean: Path) -> None:
    sentence = repr(table.Settings(db_password="canary-1"))
    assert "canary-1" not in sentence


CREDENTIALS = "TRADESTATION_CLIENT_ID=a\nTRADESTATION_CLIENT_SECRET=b\nTRADESTATION_REFRESH_TOKEN=c\n"


@pytest.mark.parametrize(
    ("text", "simulated", "url"),
    [
        ("", True, table.LIVE_API),
        (CREDENTIALS, False, table.LIVE_API),
        (CREDENTIALS + "TRADESTATION_USE_SANDBOX=true", False, table.SANDBOX_API),
        (CREDENTIALS + "TRADESTATION_API_URL=http://127.0.0.1:31022", True, "http://127.0.0.1:31022"),
        (CREDENTIALS + "ZEROGEX_SIMULATE=true", True, table.LIVE_API),
        ("TRADESTATION_API_URL=https://feed.example", False, "https://feed.example"),
    ],
)
def test_the_feed_is_simulated_without_credentials_on_loopback_or_on_request(
    clean: Path, text: str, simulated: bool, url: str
) -> None:
    clean.write_text(text)
    settings = table.load().settings
    assert (settings.simulated, settings.api_url) == (simulated, url)


def test_words_become_values(clean: Path) -> None:
    clean.write_text("IV_PRIORITY=mid,last\nDEALER_MODEL=inverse\nANALYTICS_UNDERLYING=spx\nZEROGEX_HOME=~/elsewhere\n")
    settings = table.load().settings
    assert settings.iv_sources == (IvSource.MID, IvSource.LAST)
    assert settings.dealer_model is DealerModel.INVERSE
    assert settings.analysed == ("SPX",)
    assert settings.zerogex_home == Path.home() / "elsewhere"


def test_a_misspelt_name_gets_a_suggestion(clean: Path) -> None:
    clean.write_text("STREAM_UNDERLYNG=SPY\n")
    assert table.load().unknown == ("STREAM_UNDERLYNG",)
    assert table.suggestion("STREAM_UNDERLYNG") == "STREAM_UNDERLYING"


@pytest.mark.parametrize("name", ["DB_HOST", "DB_PORT", "DB_NAME", "DB_USER"])
def test_naming_any_part_of_a_database_configures_one(clean: Path, name: str) -> None:
    clean.write_text(table.example(name.lower()))
    assert table.load().has_database


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("STREAM_UNDERLYING=SPY;QQQ", "STREAM_UNDERLYING is 'SPY;QQQ'; expected symbols separated by commas"),
        ("STREAM_UNDERLYING=SPY QQQ", "STREAM_UNDERLYING is 'SPY QQQ'; expected symbols separated by commas"),
        ("ANALYTICS_UNDERLYING=,", "ANALYTICS_UNDERLYING is ','; expected symbols"),
        ("RISK_FREE_RATE=nan", "RISK_FREE_RATE is 'nan'; expected a finite number"),
        ("PRICE_MOVE_THRESHOLD=inf", "PRICE_MOVE_THRESHOLD is 'inf'; expected a finite number"),
        ("STREAM_STRIKE_DISTANCE=1e400", "STREAM_STRIKE_DISTANCE is '1e400'; expected dollars such as 20"),
        ("STREAM_STRIKE_DISTANCE=inf%", "STREAM_STRIKE_DISTANCE is 'inf%'; expected dollars such as 20"),
        ("TRADESTATION_API_URL=foo", "TRADESTATION_API_URL is 'foo'; expected the address of a web server, with http"),
        ("TRADESTATION_API_URL=https://x:99999", "TRADESTATION_API_URL is 'https://x:99999'; expected the address"),
        ("TRADESTATION_API_URL=http://[x", "TRADESTATION_API_URL is 'http://[x'; expected the address"),
    ],
)
def test_what_would_fail_later_is_refused_at_the_start(clean: Path, text: str, said: str) -> None:
    clean.write_text(text)
    with pytest.raises(SettingsError, match="1 setting is wrong") as caught:
        table.load()
    assert said in str(caught.value)


def test_every_number_must_be_finite(clean: Path) -> None:
    numbers = [name for name, field in table.Settings.model_fields.items() if field.annotation is float]
    for value in ("nan", "inf", "-inf"):
        clean.write_text("".join(f"{name.upper()}={value}\n" for name in numbers))
        with pytest.raises(SettingsError) as caught:
            table.load()
        assert all(f"  {name.upper()} is '{value}'; expected a finite number" in str(caught.value) for name in numbers)


def test_symbols_may_have_the_marks_of_indexes_classes_and_futures(clean: Path) -> None:
    clean.write_text("STREAM_UNDERLYING=$SPX.X, BRK.B,BF-B,/ES,^VIX,brk/b\n")
    assert table.load().settings.underlyings == ("$SPX.X", "BRK.B", "BF-B", "/ES", "^VIX", "BRK/B")
