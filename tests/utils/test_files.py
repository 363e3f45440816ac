"""Files that are whole or not there, and what is said where the system refuses them."""

import errno
import os

import pytest

from wbc.utils.files import replacing, system_error, write_text


def test_a_full_disk_is_told_with_the_name_of_the_file_and_leaves_none(tmp_path):
    """The system says that it is full, and not for which file."""

    def write() -> None:
        with replacing(tmp_path / "table.csv") as beside:
            beside.write_text("half of")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left on device: '.*table\.csv'") as caught:
        write()
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_names_its_file_keeps_it(tmp_path):
    (tmp_path / "folder").touch()
    with pytest.raises(OSError, match="folder") as caught:
        write_text(tmp_path / "folder" / "file", "")
    assert caught.value.errno in (errno.ENOTDIR, errno.EEXIST)


@pytest.mark.parametrize(
    ("number", "file", "said"),
    [
        (
            errno.ENOSPC,
            "/run/a.csv",
            "/run/a.csv could not be written: No space left on device; free some space",
        ),
        (errno.ENOSPC, None, "/run could not be written: No space left on device; free some space"),
        (
            errno.EACCES,
            "/run/a.csv",
            "/run/a.csv: Permission denied; mend that, or give another output=<folder>",
        ),
        (errno.EACCES, "/images/a.png", "/images/a.png: Permission denied; mend it"),
    ],
)
def test_an_error_of_the_system_is_one_sentence_with_its_mend(number, file, said):
    assert system_error(OSError(number, os.strerror(number), file), "/run", "another output=") == said
