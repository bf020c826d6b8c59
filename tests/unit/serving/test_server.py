"""The server answers, ends when cancelled, and says plainly when its address is taken."""

import asyncio
import resource
import socket

import httpx2
import pytest
from fastapi import FastAPI

from zerogex.serving.config import ServingConfig
from zerogex.serving.server import AddressTaken, _allow_open_files, serve_until_cancelled


def hello() -> FastAPI:
    application = FastAPI()

    @application.get("/hello")
    async def answer() -> dict[str, str]:
        await asyncio.sleep(0.05)
        return {"hello": "world"}

    return application


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_request_under_way_is_answered_before_the_server_ends() -> None:
    config = ServingConfig(port=free_port())
    running = asyncio.create_task(serve_until_cancelled(hello(), config))
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{config.port}") as client:
        for _ in range(200):
            try:
                assert (await client.get("/hello")).json() == {"hello": "world"}
                break
            except httpx2.ConnectError:
                await asyncio.sleep(0.02)
        under_way = asyncio.create_task(client.get("/hello"))
        await asyncio.sleep(0.02)
        running.cancel()
        assert (await under_way).status_code == 200
    await running


async def test_a_taken_address_is_one_sentence_with_what_to_do() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = int(other.getsockname()[1])
        with pytest.raises(AddressTaken, match=f"cannot listen on 127.0.0.1:{port} .* --port or SERVE_PORT"):
            await serve_until_cancelled(hello(), ServingConfig(port=port))


def test_as_many_files_may_be_open_as_there_are_clients() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, before[1]), before[1]))
        _allow_open_files(300)
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (min(300, before[1]), before[1])
        _allow_open_files(100)
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(300, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
