"""The DINO head and the loss.

Shapes: N crops, V views, T teacher views, B images of a minibatch, D embedding, K head outputs.
Source: Caron et al. 2021, "Emerging properties in self-supervised vision transformers".
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DinoHead(nn.Module):
    """Three-layer MLP, L2 norm, and a last layer whose rows have unit length.

    Maps embeddings (N, D) to outputs (N, K).
    """

    def __init__(
        self,
        num_dims: int,
        num_outputs: int,
        *,
        hidden: int = 2048,
        bottleneck: int = 256,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (num_dims, hidden):
            layers.append(nn.Linear(inputs, hidden))
            if batch_norm:
                layers.append(nn.BatchNorm1d(hidden))
            layers.append(nn.GELU())
        self.mlp = nn.Sequential(*layers, nn.Linear(hidden, bottleneck))
        for layer in self.mlp:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self.last_layer = nn.Parameter(torch.empty(num_outputs, bottleneck))
        nn.init.kaiming_uniform_(self.last_layer, a=math.sqrt(5))

    def forward(self, embeddings: Tensor) -> Tensor:
        """Outputs (N, K) of embeddings (N, D)."""
        hidden = F.normalize(self.mlp(embeddings), dim=-1)
        return F.linear(hidden, F.normalize(self.last_layer, dim=-1))


@torch.no_grad()
def sinkhorn(outputs: Tensor, temperature: float, num_rounds: int = 3) -> Tensor:
    """Targets (N, K) of a teacher's outputs (N, K): over all views, each output has equal weight.

    A round divides by the sums over the views and then by the sums over the outputs, so targets sum
    to 1 and the mean target is close to uniform. Logarithms keep sharp temperatures finite.
    Source: Caron et al. 2020, "Unsupervised learning of visual features by contrasting cluster
    assignments"; Oquab et al. 2023, "DINOv2".
    """
    logits = outputs / temperature
    for _ in range(num_rounds):
        logits = logits - logits.logsumexp(dim=0, keepdim=True)
        logits = logits.log_softmax(dim=-1)
    return logits.exp()


class DinoLoss(nn.Module):
    """Cross-entropy of a student's outputs against a teacher's, centred and sharpened."""

    center: Tensor

    def __init__(
        self, num_outputs: int, *, student_temperature: float = 0.1, center_momentum: float = 0.9
    ) -> None:
        super().__init__()
        self.student_temperature = student_temperature
        self.center_momentum = center_momentum
        self.register_buffer("center", torch.zeros(1, num_outputs))

    def targets(self, teacher: Tensor, temperature: float) -> Tensor:
        """Targets of the student: the teacher's outputs (T, B, K), centred and sharpened."""
        return ((teacher - self.center) / temperature).softmax(dim=-1).detach()

    def forward(self, student: Tensor, targets: Tensor) -> Tensor:
        """Mean cross-entropy over the pairs of different views.

        student: (V, B, K), of which the first T views are those of the targets. targets: (T, B, K).
        """
        log_student = (student / self.student_temperature).log_softmax(dim=-1)
        pairs = -torch.einsum("tbk,vbk->tv", targets, log_student) / student.shape[1]
        same_view = torch.eye(*pairs.shape, dtype=torch.bool, device=pairs.device)
        return pairs.masked_fill(same_view, 0.0).sum() / (~same_view).sum()

    @torch.no_grad()
    def move_center(self, mean_output: Tensor) -> None:
        """Move the centre towards the mean of a minibatch's teacher outputs, (1, K)."""
        self.center.mul_(self.center_momentum).add_(mean_output, alpha=1 - self.center_momentum)
