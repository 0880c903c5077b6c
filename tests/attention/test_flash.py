"""Kernels that tell their log-sum-exp: what they give, and that those of a GPU are called as torch defines them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor

from claver.attention.flash import CpuFlash, CudaEfficient, CudaFlash, FlashKernel, flash_kernel


def drawn(queries: int = 5, keys: int = 7, dtype: torch.dtype = torch.float64, device: str = "cpu") -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, 3, length, 8, dtype=dtype).to(device) for length in (queries, keys, keys)]


def test_the_cpu_kernel_gives_attention_and_its_normaliser() -> None:
    q, k, v = drawn()
    out, lse = CpuFlash().forward(q, k, v)
    scores = q @ k.transpose(-1, -2) * 8**-0.5
    torch.testing.assert_close(out, scores.softmax(-1) @ v)
    torch.testing.assert_close(lse, scores.logsumexp(-1))


def test_shares_of_two_parts_add_up_to_the_gradient_of_the_whole() -> None:
    kernel = CpuFlash()
    q, k, v = (x.requires_grad_() for x in drawn())
    scores = q @ k.transpose(-1, -2) * 8**-0.5
    whole = scores.softmax(-1) @ v
    grad = torch.randn_like(whole)
    expected = torch.autograd.grad(whole, (q, k, v), grad)
    out, lse = whole.detach(), scores.logsumexp(-1).detach()
    parts = [kernel.backward(grad, q, k[:, :, rows], v[:, :, rows], out, lse) for rows in (slice(0, 3), slice(3, 7))]
    torch.testing.assert_close(parts[0][0] + parts[1][0], expected[0])
    for at in (1, 2):
        torch.testing.assert_close(torch.cat([parts[0][at], parts[1][at]], dim=2), expected[at])


@pytest.mark.parametrize(("kernel", "dtype"), [(CudaFlash(), torch.bfloat16), (CudaEfficient(), torch.float32)])
def test_kernels_of_a_gpu_are_called_as_torch_defines_them(kernel: FlashKernel, dtype: torch.dtype) -> None:
    """Without a GPU torch tells shapes and types alone, of the very operators that run there."""
    q, k, v = drawn(dtype=dtype, device="meta")
    out, lse = kernel.forward(q, k, v)
    assert (out.shape, out.dtype) == (q.shape, dtype)
    assert (lse.shape, lse.dtype) == (q.shape[:3], torch.float32)
    shares = kernel.backward(torch.empty_like(out), q, k, v, out, lse)
    assert [(share.shape, share.dtype) for share in shares] == [(x.shape, dtype) for x in (q, k, v)]


def test_what_has_no_kernel_is_told() -> None:
    assert isinstance(flash_kernel(torch.zeros(1, 1, 1, 8)), CpuFlash)
    assert flash_kernel(torch.zeros(1, 1, 1, 8, device="meta")) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA card")
@pytest.mark.parametrize(
    ("kernel", "dtype", "tolerance"),
    [(CudaFlash(), torch.bfloat16, 2e-2), (CudaFlash(), torch.float16, 4e-3), (CudaEfficient(), torch.float32, 1e-4)],
)
@pytest.mark.parametrize("queries", [5, 197, 394])
def test_kernels_of_a_gpu_equal_the_cpu_s(
    kernel: FlashKernel, dtype: torch.dtype, tolerance: float, queries: int
) -> None:
    q, k, v = drawn(queries, 197)
    out, lse = CpuFlash().forward(q, k, v)
    grad = torch.randn_like(out)
    expected = CpuFlash().backward(grad, q, k, v, out, lse)
    there = [x.to("cuda", dtype) for x in (grad, q, k, v)]
    found, found_lse = kernel.forward(*there[1:])
    torch.testing.assert_close(found.double().cpu(), out, atol=tolerance, rtol=tolerance)
    torch.testing.assert_close(found_lse.double().cpu(), lse, atol=tolerance, rtol=tolerance)
    shares = kernel.backward(*there, found, found_lse)
    for mine, theirs in zip(shares, expected, strict=True):
        torch.testing.assert_close(mine.double().cpu(), theirs, atol=4 * tolerance, rtol=4 * tolerance)


def test_a_gpu_is_given_a_log_sum_exp_without_gaps_and_no_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its derivative reads the log-sum-exp by address alone, and given lengths it takes rows of unlike ones."""
    given: list[object] = []

    def backward(*arguments: object) -> tuple[Tensor, Tensor, Tensor]:
        given.extend(arguments)
        return q, k, v

    operators = SimpleNamespace(_scaled_dot_product_flash_attention_backward=backward)
    monkeypatch.setattr("claver.attention.flash._aten", operators)
    q, k, v = drawn()
    lse = torch.arange(60.0).view(2, 3, 10)[:, :, ::2]
    assert not lse.is_contiguous()
    CudaFlash().backward(q, q, k, v, q, lse)
    handed = given[5]
    assert isinstance(handed, Tensor)
    assert handed.is_contiguous()
    assert torch.equal(handed, lse)
    assert given[6:10] == [None, None, 5, 7]
