"""Runs one command of a hook in the container of one pod and brings back what the protocol needs of its end.

How a command gets into a container is Kubernetes' business and comes from outside (`Execute`). Time and output are
bounded; what the command printed is neither logged nor quoted. What an exit code means is not decided here: see
`replies.py`.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from statefulrollout.api.v1alpha1 import Exec
from statefulrollout.core.asks import Address, Request
from statefulrollout.errors import ApiError, Forbidden, KubeError, NotFound
from statefulrollout.hooks.replies import MOST_BYTES, Exit, NoReply


class Execute(Protocol):
    """What runs commands in containers."""

    async def __call__(
        self, namespace: str, address: Address, command: Exec, stdin: str, *, most_bytes: int
    ) -> tuple[int, bytes]:
        """Run it in the pod of that name and UID, and wait for its end.

        Returns:
            The exit code, and the standard output, cut where it is longer than `most_bytes`.

        Raises:
            NotFound: there is no such pod any more, or the container does not run.
            ApiError: it could not be run.
            Unavailable: the connection broke; it may have run all the same.
        """
        ...


async def call_exec(
    execute: Execute | None, namespace: str, command: Exec, request: Request, address: Address
) -> Exit | NoReply:
    """Run the command, which the request is, in one pod. Never raises for what the cluster or the command does.

    A command that takes longer than the request's timeout counts as unanswered; it goes on in its container.
    """
    if execute is None:
        return NoReply("this operator does not run commands in pods", misconfigured=True)
    try:
        async with asyncio.timeout(request.timeout_seconds):
            code, output = await execute(namespace, address, command, request.body or "", most_bytes=MOST_BYTES + 1)
    except TimeoutError:
        return NoReply(f"timed out after {request.timeout_seconds} s")
    except NotFound:
        return NoReply("the pod is gone, or the container does not run")
    except Forbidden:
        return NoReply("the operator's role does not let it run commands in pods", misconfigured=True)
    except ApiError as error:
        return NoReply(f"the API server answered {error.status}")
    except KubeError:
        return NoReply("the connection to the pod broke")
    if len(output) > MOST_BYTES:
        return NoReply(f"it printed more than {MOST_BYTES // 1024} KiB")
    return Exit(code, output)
