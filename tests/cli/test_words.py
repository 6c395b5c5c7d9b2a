"""Words for people: nothing in them commands the terminal, whoever put it there."""

from __future__ import annotations

import socket
import threading

import pytest

from replicator.cli.gateway import Given, options
from replicator.cli.words import printable, say
from replicator.config import Apisix
from replicator.errors import UsageError


def test_a_terminal_obeys_nothing_in_a_line(capsys) -> None:
    say("prefix /a\x1b[2J\r\x9b31m\u202e")
    assert capsys.readouterr().out == "prefix /a\\x1b[2J\\r\\x9b31m\\u202e\n"


@pytest.mark.parametrize("line", ["revision 17, 2026-11-23T08:40:13Z", "/apisix/routes/ünïcode — …"])
def test_plain_words_stay_as_they_are(line) -> None:
    assert line == printable(line)


def test_a_password_in_the_schemas_address_is_not_repeated() -> None:
    with pytest.raises(UsageError, match="has an @ in it") as caught:
        options(Apisix(schema="http://user:hunter2@127.0.0.1:1/v1/schema"), Given())
    assert "hunter2" not in str(caught.value)


def test_a_server_that_speaks_something_else_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"220 mail.example ready\r\n")

        threading.Thread(target=answer, daemon=True).start()
        schema = f"http://127.0.0.1:{server.getsockname()[1]}/v1/schema"
        with pytest.raises(UsageError, match="gives no schema"):
            options(Apisix(schema=schema), Given())
