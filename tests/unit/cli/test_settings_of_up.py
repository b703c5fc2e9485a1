"""What a command in a second terminal knows of a running ``coachline up``."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from coachline.cli.support import complete, told, with_values
from coachline.foundation.settings import Settings
from coachline.local import Home

DATABASE = "postgresql://coachline_app:secret@db/coachline"
CHOSEN = {
    "database_url": DATABASE,
    "redis_url": "redis://elsewhere",
    "master_keys": "k1:abc",
    "outgoing_allow": "127.0.0.0/8,::1/128",
    "chat_model": "qwen3:4b",
}


def _settings(home: Path, **values: str) -> Settings:
    return with_values(Settings(home=home), values)


def test_a_second_process_works_with_every_value_that_up_was_given(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock():
        home.write_runtime(told(_settings(tmp_path, **CHOSEN)))
        found = complete(_settings(tmp_path))
    assert found == _settings(tmp_path, **CHOSEN)


def test_its_own_values_win(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock():
        home.write_runtime(told(_settings(tmp_path, **CHOSEN)))
        found = complete(_settings(tmp_path, chat_model="llama3.2:3b", database_url=DATABASE))
    assert found.chat_model == "llama3.2:3b"
    assert found.redis_url == SecretStr("redis://elsewhere")


def test_another_database_takes_nothing_from_it(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with home.lock():
        home.write_runtime(told(_settings(tmp_path, **CHOSEN)))
        own = _settings(tmp_path, database_url="postgresql://coachline_app:other@far/coachline")
        assert complete(own) is own


def test_without_a_running_up_nothing_is_completed(tmp_path: Path) -> None:
    own = _settings(tmp_path)
    assert complete(own) is own
