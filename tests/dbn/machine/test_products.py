"""Products by MKL or oneDNN: full float32 either way, torch's settings left as they were."""

from collections.abc import Iterator

import pytest
import torch

from dbn import RBM
from dbn.machine import products
from dbn.machine.products import SMALLEST_PRODUCT, OneDNN, faster_products, keeps_float32, matmul, onednn_is_faster
from dbn.models.linear import Linear
from dbn.models.units import Bernoulli
from dbn.random.streams import stream

AMD = {"vendor_id": "AuthenticAMD", "flags": "avx2 avx512f avx512_bf16"}

needs_onednn = pytest.mark.skipif(
    not (hasattr(torch.backends.mkldnn, "matmul") and torch.backends.mkldnn.is_available() and keeps_float32()),
    reason="this torch has no oneDNN to hand float32 products to, or oneDNN rounds them on this processor",
)


def setting() -> str:
    """Torch's setting that decides about oneDNN."""
    return str(products.ONEDNN.matmul.fp32_precision)


@pytest.fixture
def _fresh_choice(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What is known of the processor is asked for again, now and afterwards."""
    onednn_is_faster.cache_clear()
    yield
    monkeypatch.undo()
    onednn_is_faster.cache_clear()


@needs_onednn
def test_products_are_float32_s_by_either_library() -> None:
    """Beside float64: an error of a few roundings of a sum of 300 terms; bfloat16's would be a thousand times that."""
    a, b = (torch.randn(shape, generator=stream(0, "ab")) for shape in ((200, 300), (300, 400)))
    exact = a.double() @ b.double()
    bound = 4 * 2**-24 * (a.abs() @ b.abs()).max()
    assert (matmul(a, b) - exact).abs().max() < bound
    with OneDNN():
        assert (torch.matmul(a, b) - exact).abs().max() < bound
        assert (torch.matmul(b.T, a.T).T - exact).abs().max() < bound


@needs_onednn
def test_gradients_pass_through() -> None:
    a = torch.randn(100, 200, generator=stream(0, "a"), requires_grad=True)
    b = torch.randn(200, 100, generator=stream(0, "b"))
    with OneDNN():
        (matmul(a, b) ** 2).sum().backward()
    assert a.grad is not None
    torch.testing.assert_close(
        a.grad.double(), 2 * (a.detach().double() @ b.double()) @ b.double().T, rtol=1e-4, atol=1e-2
    )


@needs_onednn
def test_the_setting_is_as_before_also_after_an_error() -> None:
    before = setting()
    with OneDNN():
        assert setting() == "bf16"
    assert setting() == before
    with pytest.raises(RuntimeError, match="cannot be multiplied"), OneDNN():
        torch.mm(torch.zeros(2, 3), torch.zeros(2, 3))
    assert setting() == before


@pytest.mark.usefixtures("_fresh_choice")
@pytest.mark.parametrize(
    ("info", "exact", "expected"),
    [
        (AMD, True, True),
        (AMD, False, False),
        ({**AMD, "vendor_id": "GenuineIntel"}, True, False),
        ({**AMD, "flags": "avx2"}, True, False),
        ({**AMD, "flags": "avx512f amx_bf16"}, True, False),
        ({}, True, False),
    ],
)
def test_onednn_is_for_amd_processors_with_avx512_where_it_does_not_round(
    info: dict[str, str], exact: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(products, "processor_info", lambda: info)
    monkeypatch.setattr(products, "processor_flags", lambda: frozenset(info.get("flags", "").split()))
    monkeypatch.setattr(products, "keeps_float32", lambda: exact)
    monkeypatch.setattr(products.ONEDNN, "is_available", lambda: True)
    monkeypatch.setattr(products.ONEDNN, "matmul", object(), raising=False)
    assert onednn_is_faster() is expected


def test_a_library_that_rounds_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if oneDNN took bfloat16 factors: the product keeps 8 bits of each."""

    def rounding(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.mm(a.bfloat16(), b.bfloat16()).float()

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounding)
    assert not keeps_float32()


def test_small_products_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "onednn_is_faster", lambda: True)
    assert isinstance(faster_products(SMALLEST_PRODUCT), OneDNN)
    assert not isinstance(faster_products(SMALLEST_PRODUCT - 1), OneDNN)
    monkeypatch.setattr(products, "onednn_is_faster", lambda: False)
    assert not isinstance(faster_products(SMALLEST_PRODUCT), OneDNN)


def test_models_choose_by_their_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """RBMs and networks tell how many multiplications a product has."""
    told: list[int] = []

    def listening(multiplications: int) -> products.AbstractContextManager[None]:
        told.append(multiplications)
        return products.TORCH_DEFAULT

    monkeypatch.setattr(products, "SMALLEST_PRODUCT", 1)  # smaller ones do not ask
    monkeypatch.setattr(products, "faster_products", listening)
    monkeypatch.setattr("dbn.models.linear.faster_products", listening)
    rbm = RBM(Bernoulli(7), Bernoulli(5))
    rbm.hidden_field(torch.rand(3, 7))
    rbm.visible_field(torch.rand(3, 5))
    with torch.no_grad():
        rbm.connection.write_gradient(torch.rand(6, 7), torch.rand(6, 5), torch.ones(6))
    Linear(7, 5)(torch.rand(3, 7))
    assert told == [105, 105, 210, 105]
