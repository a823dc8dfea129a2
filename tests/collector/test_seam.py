"""The seam with uvicorn: what we rely on inside it, so that an upgrade fails here and clearly."""

import asyncio
import inspect

import httptools
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from kilowatch.collector import pages
from kilowatch.collector.protocol import PushProtocol


def test_the_version_is_the_one_that_the_seam_was_written_for() -> None:
    """The protocol class relies on uvicorn's internals: docs/decisions/0002 says how."""
    assert uvicorn.__version__ == "0.54.0"
    assert httptools.__version__.startswith("0.9.")


def test_the_protocol_class_takes_what_we_give_it() -> None:
    """Listeners make connections with these arguments."""
    parameters = list(inspect.signature(HttpToolsProtocol.__init__).parameters)
    assert parameters == ["self", "config", "server_state", "app_state", "_loop"]
    cycle = list(inspect.signature(RequestResponseCycle.__init__).parameters)
    assert cycle == [
        "self", "scope", "transport", "flow", "logger", "access_logger", "access_log",
        "default_headers", "message_event", "expect_100_continue", "keep_alive", "on_response",
    ]  # fmt: skip


def test_a_connection_has_the_attributes_that_we_use() -> None:
    """State that we read or set on uvicorn's class is still there, and means the same."""

    async def look() -> None:
        config = Config(pages.application, lifespan="off", log_config=None)
        protocol = HttpToolsProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        for name in (
            "app", "loop", "logger", "access_logger", "parser", "connections", "tasks", "flow",
            "transport", "server", "client", "scheme", "cycle", "headers", "asgi_version",
            "server_state",
        ):  # fmt: skip
            assert hasattr(protocol, name), name
        state = ServerState()
        assert state.connections == set()
        assert state.default_headers == []

    asyncio.run(look())
    for name in ("pause_reading", "resume_reading", "pause_writing", "resume_writing"):
        assert callable(getattr(FlowControl, name))
    source = inspect.getsource(RequestResponseCycle)
    for name in ("self.body", "self.more_body", "self.message_event", "self.on_response()"):
        assert name in source, name


def test_what_we_do_not_override_is_what_we_know() -> None:
    """A new method of uvicorn's class might read or answer past our limits."""
    known = {
        "__init__", "connection_made", "connection_lost", "eof_received",
        "_unset_keepalive_if_required", "_get_upgrade", "_should_upgrade_to_ws",
        "_unsupported_upgrade_warning", "_should_upgrade", "data_received",
        "handle_websocket_upgrade", "send_400_response", "on_message_begin", "on_url",
        "on_header", "on_headers_complete", "_start_asgi_task", "on_body",
        "on_message_complete", "on_response_complete", "shutdown", "pause_writing",
        "resume_writing", "timeout_keep_alive_handler",
    }  # fmt: skip
    methods = {name for name, value in vars(HttpToolsProtocol).items() if callable(value)}
    assert methods == known
    ours = {name for base in PushProtocol.__mro__[:2] for name in vars(base)}
    called_by_parser = {
        "on_message_begin", "on_url", "on_header", "on_headers_complete", "on_body",
        "on_message_complete",
    }  # fmt: skip
    called_by_transport = {"connection_made", "data_received", "eof_received", "connection_lost"}
    assert called_by_parser | called_by_transport | {"shutdown"} <= ours


def test_the_parser_is_as_strict_as_we_count_on() -> None:
    """Smuggling shapes are refused by llhttp; one leniency is on, for what follows a close."""

    class Callbacks:
        def on_message_complete(self) -> None:
            """Nothing."""

    for head in (
        b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 1\r\nContent-Length: 1\r\n",
        b"X: a\r\n b\r\n",
        b"X : a\r\n",
        b"X: a\n",
    ):
        parser = httptools.HttpRequestParser(Callbacks())
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        try:
            parser.feed_data(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n0\r\n\r\n")
        except httptools.HttpParserError:
            continue
        raise AssertionError(head)
