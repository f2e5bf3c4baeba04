"""The processes that share a training, and requests to end it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

import torch
import torch.distributed as dist

from unidino.core.errors import InputError
from unidino.embeddings.forward import device_of


@dataclass(frozen=True)
class Processes:
    """This process among those that share every minibatch.

    rank: its number, from 0; world: how many there are.
    """

    device: torch.device
    rank: int = 0
    world: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def check_shares(self, batch_size: int, num_parts: int) -> None:
        """Raise InputError unless every part of every process gets as many images."""
        if batch_size % (self.world * num_parts):
            raise InputError(
                f"a minibatch of {batch_size} images cannot be divided among {self.world} processes"
                f" in {num_parts} parts; choose a multiple of {self.world * num_parts}"
            )

    def any(self, condition: bool) -> bool:
        """Whether the condition is true in any process; all processes must call this."""
        if self.world == 1:
            return condition
        flag = torch.tensor([float(condition)], device=self.device)
        dist.all_reduce(flag)
        return bool(flag.item())


@contextmanager
def joined(device: str) -> Iterator[Processes]:
    """The processes that torchrun started, or this process alone."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = device_of(device)
    if world == 1:
        yield Processes(chosen)
        return
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(chosen, dist.get_rank(), world)
    finally:
        dist.destroy_process_group()


@dataclass
class StopRequest:
    """Whether this process was asked to end."""

    was_made: bool = False


@contextmanager
def stop_on_sigterm() -> Iterator[StopRequest]:
    """A request that SIGTERM makes, instead of ending the process; only in the main thread."""
    request = StopRequest()

    def ask(signal_number: int, frame: FrameType | None) -> None:
        request.was_made = True

    try:
        old = signal.signal(signal.SIGTERM, ask)
    except ValueError:  # of other threads, which get no signals
        yield request
        return
    try:
        yield request
    finally:
        signal.signal(signal.SIGTERM, old)
