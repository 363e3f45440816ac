"""One process a folder, and what killed ones left."""

import pytest

from wbc.errors import ConfigError
from wbc.utils.claim import claimed


def test_a_folder_is_held_once_and_free_afterwards(tmp_path):
    folder = tmp_path / "run"
    with claimed(folder, "another output="):
        said = r"run is in use by process \d+ on .*, since .*another output="
        with pytest.raises(ConfigError, match=said), claimed(folder, "another output="):
            pass
    assert list(folder.iterdir()) == []
    with claimed(folder, "another output="):
        pass


def test_where_there_are_no_locks_the_work_is_done_all_the_same(tmp_path, monkeypatch, caplog):
    def acquire(*_, **__):
        raise NotImplementedError

    monkeypatch.setattr("wbc.utils.claim.FileLock.acquire", acquire)
    with claimed(tmp_path, ""):
        (tmp_path / "result").touch()
    assert "without locks" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["result"]


def test_what_killed_writers_left_is_removed_and_files_of_others_are_not(tmp_path):
    left = [".panel.wbc-123.png", "deep/.model.wbc-4.ckpt", ".table.wbc-77"]
    kept = [".photo.2023.png", "panel.png", ".a.wbc-x.png", ".notes"]
    for name in [*left, *kept]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    with claimed(tmp_path, ""):
        assert not any((tmp_path / name).exists() for name in left)
    assert all((tmp_path / name).exists() for name in kept)


def test_further_processes_of_a_launcher_share_the_folder_of_the_first(tmp_path, monkeypatch):
    with claimed(tmp_path, ""):
        monkeypatch.setenv("LOCAL_RANK", "1")
        with claimed(tmp_path, ""):
            pass
        assert (tmp_path / ".in_use.json").exists()
