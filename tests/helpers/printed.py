"""Words of a command line that a message prints, as a shell reads them."""

import shlex


def printed_word(message: str, key: str) -> str:
    """The word `key=...` of `message`, which stands in quotes where a shell needs them."""
    start = message.index(f"{key}=")
    if message[start - 1] in "'\"":
        start -= 1
    words = shlex.shlex(message[start:], posix=True)
    words.whitespace_split, words.commenters = True, ""
    word = words.get_token()
    assert word is not None
    return word.rstrip(".,;")
