"""A step does what a plain implementation does, and a student learns from its teacher."""

import pytest
import torch
from toy_training import TOY, TOY_PLAIN

from unidino.training.dino import Dino, _with_shared_norms
from unidino.training.epoch_log import effective_rank
from unidino.training.network import new_network, parameter_groups


def test_a_step_moves_the_student_by_gradient_and_the_teacher_by_average() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    before = {n: p.clone() for n, p in dino.teacher.named_parameters()}
    dino.step(
        torch.rand(8, 1, 32, 32),
        torch.rand(8, 1, 16, 16),
        learning_rate=1e-3,
        weight_decay=0.04,
        teacher_momentum=0.75,
        teacher_temperature=0.04,
        freeze_last_layer=True,
    )
    students = dict(dino.student.named_parameters())
    moved = 0
    for name, teacher in dino.teacher.named_parameters():
        expected = 0.75 * before[name] + 0.25 * students[name]
        torch.testing.assert_close(teacher, expected)
        moved += int(not torch.equal(teacher, before[name]))
    assert moved > 10
    torch.testing.assert_close(dino.student.head.last_layer, dino.teacher.head.last_layer)


def test_biases_and_norms_are_not_decayed() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    decayed, plain = dino.optimizer.param_groups
    assert plain["weight_decay"] == 0
    assert all(p.ndim == 1 for p in plain["params"])
    assert all(p.ndim > 1 for p in decayed["params"])


def test_effective_rank_counts_directions() -> None:
    line = torch.linspace(-1, 1, 50)[:, None] * torch.ones(1, 4)
    assert effective_rank(line) == pytest.approx(1, abs=0.01)
    assert effective_rank(torch.randn(5000, 4)) == pytest.approx(4, abs=0.01)


def test_a_student_learns_what_a_teacher_that_stands_still_says() -> None:
    dino = Dino(TOY, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    views = [torch.rand(n, 1, s, s, generator=generator) for n, s in ((16, 32), (16, 16))]
    losses = [
        dino.step(
            *views,
            learning_rate=1e-3,
            weight_decay=0.04,
            teacher_momentum=1.0,
            teacher_temperature=0.01,
            freeze_last_layer=False,
        )
        for _ in range(60)
    ]
    surprise = [step.loss - step.teacher_entropy for step in losses]
    assert surprise[-1] < 0.7 * surprise[10]


def _naive_step(dino, views, old, rate: float, decay: float, temperature: float) -> None:
    """A DINO step as one would first write it: views one by one, loops, a Python average."""
    global_views, local_views = views
    num_images = len(global_views) // 2
    per_view = [*global_views.split(num_images), *local_views.split(num_images)]
    with torch.no_grad():
        teacher = [dino.teacher.head(dino.teacher.encoder(v)) for v in per_view[:2]]
    student = [dino.student.head(dino.student.encoder(v)) for v in per_view]
    if dino.config.centring == "sinkhorn":
        spread = (torch.cat(teacher) / temperature).exp()
        for _ in range(3):
            spread = spread / spread.sum(dim=0, keepdim=True)
            spread = spread / spread.sum(dim=1, keepdim=True)
        targets = spread.split(num_images)
    else:
        targets = [torch.softmax((t - dino.loss.center) / temperature, dim=-1) for t in teacher]
    losses = []
    for i, target in enumerate(targets):
        for j, s in enumerate(student):
            if i != j:
                losses.append(-(target * torch.log_softmax(s / 0.1, dim=-1)).sum(-1).mean())
    loss = sum(losses) / len(losses)
    dino.loss.center = 0.9 * dino.loss.center + 0.1 * torch.cat(teacher).mean(0, keepdim=True)
    old.zero_grad()
    loss.backward()
    for group in old.param_groups:
        group["lr"] = rate
    old.param_groups[0]["weight_decay"] = decay
    old.step()
    with torch.no_grad():
        for t, s in zip(dino.teacher.parameters(), dino.student.parameters(), strict=True):
            t.copy_(0.9 * t + 0.1 * s)


@pytest.mark.parametrize("centring", ["mean", "sinkhorn"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_five_steps_equal_a_plain_implementation(accumulate: int, centring: str) -> None:
    config = TOY_PLAIN.model_copy(update={"centring": centring})
    fast = Dino(config.model_copy(update={"accumulate": accumulate}), torch.device("cpu"))
    plain = Dino(config, torch.device("cpu"))
    optimizer = torch.optim.AdamW(parameter_groups(plain.student), foreach=False, fused=False)
    generator = torch.Generator().manual_seed(1)
    gradients = [torch.full_like(p, torch.inf).detach() for p in plain.student.parameters()]
    for step in range(5):
        views = [torch.rand(n, 1, s, s, generator=generator) for n, s in ((8, 32), (8, 16))]
        rate, decay = 1e-5 * (step + 1), 0.04 + 0.01 * step
        fast.step(
            *views,
            learning_rate=rate,
            weight_decay=decay,
            teacher_momentum=0.9,
            teacher_temperature=0.04,
            freeze_last_layer=False,
        )
        _naive_step(plain, views, optimizer, rate, decay, 0.04)
        for smallest, parameter in zip(gradients, plain.student.parameters(), strict=True):
            torch.minimum(smallest, parameter.grad.abs(), out=smallest)
    if centring == "mean":
        torch.testing.assert_close(fast.loss.center, plain.loss.center, rtol=0, atol=1e-6)
    # Where a gradient was 0 but for rounding (a key's bias changes no attention), AdamW made a step
    # of the rounding.
    compared = [smallest > 1e-6 for smallest in gradients]
    assert sum(int(c.sum()) for c in compared) > 0.95 * sum(c.numel() for c in compared)
    for a, b in ((fast.student, plain.student), (fast.teacher, plain.teacher)):
        for one, other, where in zip(a.parameters(), b.parameters(), compared, strict=True):
            torch.testing.assert_close(one[where], other[where], rtol=0, atol=1e-6)


def test_bf16_is_near_fp32() -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        dino = Dino(TOY_PLAIN.model_copy(update={"precision": precision}), torch.device("cpu"))
        generator = torch.Generator().manual_seed(1)
        views = [torch.rand(n, 1, s, s, generator=generator) for n, s in ((8, 32), (8, 16))]
        losses[precision] = dino.step(
            *views,
            learning_rate=1e-4,
            weight_decay=0.04,
            teacher_momentum=0.9,
            teacher_temperature=0.04,
            freeze_last_layer=False,
        ).loss
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_stochastic_depth_is_the_students_alone() -> None:
    dino = Dino(TOY.model_copy(update={"drop_path": 0.5}), torch.device("cpu"))
    rates = {
        name: {m.drop_prob for m in network.modules() if type(m).__name__ == "DropPath"}
        for name, network in (("student", dino.student), ("teacher", dino.teacher))
    }
    assert rates["teacher"] == set()
    assert max(rates["student"], default=0) > 0 or TOY.architecture_options == {"depth": 1}


def test_several_processes_share_every_batch_norm() -> None:
    for network in (new_network(TOY), new_network(TOY)):
        shared = _with_shared_norms(network)
        norms = [type(m) for m in shared.modules() if isinstance(m, torch.nn.BatchNorm1d)]
        assert norms == []
        assert sum(isinstance(m, torch.nn.SyncBatchNorm) for m in shared.modules()) == 2
        assert all(a is b for a, b in zip(shared.parameters(), network.parameters(), strict=True))
