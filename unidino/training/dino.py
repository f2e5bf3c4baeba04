"""DINO: student, teacher, loss and optimizer, and one step of training.

Shapes: B images, G global and L local views of each, D embedding, K head outputs.
Source: Caron et al. 2021; Morelli et al. 2025, doi 10.1016/j.csbj.2025.02.020.
"""

from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from unidino.core.errors import ModelError
from unidino.core.text import first_line
from unidino.models.networks import Encoder
from unidino.training.loss import DinoLoss, sinkhorn
from unidino.training.network import Network, new_network, parameter_groups
from unidino.training.recipe import TrainConfig


class Step(NamedTuple):
    """Figures of one step.

    loss, teacher_entropy (nats), mean_target (K,): means over the images of all processes.
    center_norm: norm of the moving mean of the teacher's outputs, 0 if targets are centred
    otherwise. embeddings: the teacher's, of the images of this
    process, (G * B, D).
    """

    loss: float
    teacher_entropy: float
    center_norm: float
    embeddings: Tensor
    mean_target: Tensor


class Dino:
    """Student, teacher, loss and optimizer.

    start: an encoder whose weights student and teacher both start from.
    Raises ModelError if its network has another shape.
    """

    def __init__(
        self, config: TrainConfig, device: torch.device, start: Encoder | None = None
    ) -> None:
        if config.accumulate > 1 and config.head_batch_norm:
            raise ModelError(
                f"accumulate is {config.accumulate}, but a batch norm needs the whole minibatch;"
                ' choose 1, or "head_batch_norm": false'
            )
        self.config = config
        self.device = device
        self.student = new_network(config, drop_path=config.drop_path).to(device)
        self.teacher = new_network(config).to(device)
        if start is not None:
            try:
                self.student.encoder.load_state_dict(start.state_dict())
            except RuntimeError as error:
                raise ModelError(
                    "the model to start from has a network of another shape:"
                    f" {' '.join(str(error).split())}"
                ) from error
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False)
        self._start = [p.detach().clone() for p in self.teacher.encoder.parameters()]
        self.loss = DinoLoss(
            config.num_outputs,
            student_temperature=config.student_temperature,
            center_momentum=config.center_momentum,
        ).to(device)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.student), fused=True)
        if config.compile:
            self.student.encoder.compile()
            self.teacher.encoder.compile()
        self._world = dist.get_world_size() if dist.is_initialized() else 1
        self._forward: nn.Module = self.student
        if self._world > 1:
            if config.head_batch_norm:
                if device.type != "cuda":
                    raise ModelError(
                        "several processes share a batch norm only on GPUs; train in one process,"
                        ' or with "head_batch_norm": false in --config'
                    )
                self.student, self.teacher = map(_with_shared_norms, (self.student, self.teacher))
            ids = [device.index] if device.type == "cuda" else None
            self._forward = DistributedDataParallel(self.student, device_ids=ids)

    def step(
        self,
        global_views: Tensor,
        local_views: Tensor,
        *,
        learning_rate: float,
        weight_decay: float,
        teacher_momentum: float,
        teacher_temperature: float,
        freeze_last_layer: bool,
    ) -> Step:
        """Figures of one optimizer step.

        global_views: (G * B, C, S, S), view-major; local_views: (L * B, C, s, s), view-major.
        """
        config = self.config
        globals_ = _by_view(global_views, config.num_global_crops)
        locals_ = _by_view(local_views, config.num_local_crops)
        embeddings, outputs = self._teach(globals_)
        targets = self._targets(outputs, teacher_temperature)
        self.optimizer.zero_grad(set_to_none=True)
        totals = torch.zeros(2, device=self.device)
        parts = [views.chunk(config.accumulate, dim=1) for views in (globals_, locals_, targets)]
        for number, part in enumerate(zip(*parts, strict=True), start=1):
            with self._only_local_gradients(number < config.accumulate):
                loss = self._loss(*part)
                (loss / config.accumulate).backward()  # type: ignore[no-untyped-call]
            totals[0] += loss.detach() / config.accumulate
        totals[1] = -torch.special.xlogy(targets, targets).sum(dim=-1).mean()
        mean_output = outputs.flatten(0, 1).mean(dim=0, keepdim=True)
        mean_target = targets.flatten(0, 1).mean(dim=0)
        if self._world > 1:
            for shared in (totals, mean_output, mean_target):
                dist.all_reduce(shared)
                shared /= self._world
        if config.centring == "mean":
            self.loss.move_center(mean_output)
        self._update(learning_rate, weight_decay, freeze_last_layer)
        self._move_teacher(teacher_momentum)
        return Step(
            totals[0].item(),
            totals[1].item(),
            self.loss.center.norm().item(),
            embeddings.flatten(0, 1),
            mean_target,
        )

    @torch.no_grad()
    def _teach(self, global_views: Tensor) -> tuple[Tensor, Tensor]:
        """Embeddings (G, B, D) and outputs (G, B, K) of the teacher, of views (G, B, C, S, S)."""
        embeddings, outputs = [], []
        for part in global_views.chunk(self.config.accumulate, dim=1):
            with self._autocast():
                embedded = self.teacher.encoder(part.flatten(0, 1))
                output = self.teacher.head(embedded)
            embeddings.append(_by_view(embedded.float(), len(part)))
            outputs.append(_by_view(output.float(), len(part)))
        return torch.cat(embeddings, dim=1), torch.cat(outputs, dim=1)

    def _targets(self, outputs: Tensor, temperature: float) -> Tensor:
        """Targets (G, B, K) of the teacher's outputs (G, B, K)."""
        if self.config.centring == "mean":
            return self.loss.targets(outputs, temperature)
        flat = outputs.flatten(0, 1)
        if self._world == 1:
            return sinkhorn(flat, temperature).reshape(outputs.shape)
        of_all = [torch.empty_like(flat) for _ in range(self._world)]
        dist.all_gather(of_all, flat)
        targets = sinkhorn(torch.cat(of_all), temperature)
        return targets.chunk(self._world)[dist.get_rank()].reshape(outputs.shape)

    def _loss(self, global_views: Tensor, local_views: Tensor, targets: Tensor) -> Tensor:
        """Loss of a part of b images: (G, b, C, S, S), (L, b, C, s, s) and (G, b, K)."""
        with self._autocast():
            student = self._forward(global_views.flatten(0, 1), local_views.flatten(0, 1))
        loss: Tensor = self.loss(_by_view(student.float(), -1, targets.shape[1]), targets)
        return loss

    def _autocast(self) -> torch.autocast:
        bf16 = self.config.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=bf16)

    def _only_local_gradients(self, wanted: bool) -> Any:
        if wanted and isinstance(self._forward, DistributedDataParallel):
            return self._forward.no_sync()
        return nullcontext()

    def _update(self, learning_rate: float, weight_decay: float, freeze_last_layer: bool) -> None:
        self.optimizer.param_groups[0]["weight_decay"] = weight_decay
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        if self.config.gradient_clip:
            for module in (self.student.encoder, self.student.head):
                nn.utils.clip_grad_norm_(module.parameters(), self.config.gradient_clip)
        if freeze_last_layer:
            self.student.head.last_layer.grad = None
        self.optimizer.step()

    @torch.no_grad()
    def _move_teacher(self, momentum: float) -> None:
        torch._foreach_lerp_(
            list(self.teacher.parameters()), list(self.student.parameters()), 1 - momentum
        )

    def teacher_distance(self) -> float:
        """Distance of the teacher's encoder from its start, as a share of the start's norm."""
        pairs = zip(self.teacher.encoder.parameters(), self._start, strict=True)
        moved = torch.stack([(now - start).norm() for now, start in pairs])
        return float(moved.norm() / torch.stack([p.norm() for p in self._start]).norm())

    def state(self) -> dict[str, Tensor]:
        """All tensors that later steps depend on, by name."""
        tensors = {f"student.{k}": v for k, v in self.student.state_dict().items()}
        tensors |= {f"teacher.{k}": v for k, v in self.teacher.state_dict().items()}
        tensors["center"] = self.loss.center
        for index, values in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{key}": value for key, value in values.items()}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Restore the tensors that `state` returned.

        Raises ModelError if a tensor is missing or has another shape.
        """

        def under(prefix: str) -> dict[str, Tensor]:
            start = f"{prefix}."
            return {k[len(start) :]: v for k, v in tensors.items() if k.startswith(start)}

        try:
            self.student.load_state_dict(under("student"))
            self.teacher.load_state_dict(under("teacher"))
            self.loss.center.copy_(tensors["center"])
            states: dict[int, dict[str, Tensor]] = {}
            for name, tensor in under("optimizer").items():
                index, key = name.split(".")
                states.setdefault(int(index), {})[key] = tensor
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        except (RuntimeError, KeyError, ValueError) as error:
            reason = first_line(error)
            raise ModelError(f"the checkpoint does not fit its configuration: {reason}") from error


def _with_shared_norms(network: Network) -> Network:
    """The network with batch norms over the minibatches of all processes."""
    shared: Network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return shared


def _by_view(views: Tensor, num_views: int, num_images: int = -1) -> Tensor:
    """Views (V, B, ...) of view-major views (V * B, ...)."""
    return views.reshape(num_views, num_images, *views.shape[1:])
