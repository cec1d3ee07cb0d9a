"""Logistic principal component analysis with a code optimised for each image, a baseline for autoencoders.

The loadings are fitted on training images and test images are reconstructed, so that the reconstructions are measured
exactly as those of the autoencoder.

References:
    Hinton & Salakhutdinov (2006), *Reducing the Dimensionality of Data with Neural Networks*, Science 313:504.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from dbn.random.streams import stream
from dbn.settings import check_number
from finetune.baselines.pca import check_images, principal_components, row_chunks

_HALVINGS = 12  # of a Newton step that increases the objective, at most
_TEST_STEPS = 50  # Newton steps for a test code, at most; on MNIST about twelve are taken
_CONVERGED = 1e-4  # predicted decrease of the objective, in nats, below which Newton's method stops


@torch.no_grad()
def logistic_pca(
    train: Tensor, test: Tensor, code_size: int, *, seed: int, n_fit: int = 10_000, sweeps: int = 10,
    ridge: float = 0.01,
) -> Tensor:  # fmt: skip
    r"""Reconstructions :math:`\hat x = \sigma(W z + b)` of ``test`` by logistic PCA, a code ``z`` fitted to each image.

    Minimises over ``W``, ``b`` and the codes of the training images

    .. math:: -\sum_{n,i} \left[ x_{ni} \log \hat x_{ni} + (1 - x_{ni}) \log(1 - \hat x_{ni}) \right]
              + \tfrac{\lambda}{2} \left( \lVert Z \rVert^2 + \lVert W \rVert^2 + \lVert b \rVert^2 \right)

    by alternation: one Newton step for every code, then one for every pixel's row of ``W`` and ``b``. Each half is a
    set of independent logistic regressions, and no step increases the sum. ``W`` and the codes start from the
    principal components. A test image's code is the optimum for the fitted ``W`` and ``b``: a convex problem, solved by
    Newton's method.

    On MNIST with ``code_size=30``, seed 0 and the defaults the summed squared error per test image is 3.21; 4.3 after
    3 sweeps, 3.0 after 20, and 3.1 after 10 sweeps over all 60000 images. Hinton & Salakhutdinov (2006) give 8.01
    and do not say how it was trained. A *linear encoder* in place of fitted codes, ``z = A (x - mean)``, came to 7.75
    (60 epochs of Adam). Note the difference from an autoencoder: here the code of every test image is optimised, there
    it is the output of one forward pass through the encoder.

    Args:
        train: images to fit, ``(n, d)``, within ``[0, 1]``.
        test: images to reconstruct, ``(m, d)``, within ``[0, 1]``.
        code_size: numbers per code, from 1 to ``d``.
        seed: seed of the stream ``logistic_pca``, which chooses the images that are fitted.
        n_fit: number of training images, drawn without replacement, that ``W`` and ``b`` are fitted to; all of them if
            there are fewer.
        sweeps: number of alternations; convergence is not tested.
        ridge: the penalty :math:`\lambda`, above 0; it keeps codes and the biases of constant pixels finite.

    Returns:
        ``(m, d)`` within ``(0, 1)``, up to rounding.

    Raises:
        SettingError: ``code_size`` is not within 1 to ``d``, or another setting is out of its range.
        DataError: the images are not matrices of the same width and dtype, are empty, or hold a value that is not
            finite or outside ``[0, 1]``.

    References:
        Collins, Dasgupta & Schapire (2001), *A Generalization of Principal Components Analysis to the Exponential
        Family*, NIPS 14. Schein, Saul & Ungar (2003), *A Generalized Linear Model for Principal Component Analysis of
        Binary Data*, AISTATS.
    """
    check_images(train, test, code_size, unit_interval=True)
    check_number("n_fit", n_fit, low=1, whole=True)
    check_number("sweeps", sweeps, low=1, whole=True)
    check_number("ridge", ridge, low=0, above=True)
    chosen = torch.randperm(len(train), generator=stream(seed, "logistic_pca"))[:n_fit].to(train.device)
    W, b = _fit_loadings(train[chosen], code_size, sweeps=sweeps, ridge=ridge)
    return torch.sigmoid(_fit_codes(test, W, b, ridge=ridge) @ W.T + b)


def _fit_loadings(x: Tensor, code_size: int, *, sweeps: int, ridge: float) -> tuple[Tensor, Tensor]:
    """``W`` ``(d, k)`` and ``b`` ``(d,)`` of a logistic PCA of ``x`` ``(n, d)``."""
    mean, U = (part.to(x.dtype) for part in principal_components(x, code_size))
    Z = (x - mean) @ U  # (n, k)
    W = 4 * U  # the logit's slope at 1/2
    b = torch.logit(mean, eps=0.01)
    by_pixel = x.T.contiguous()  # (d, n)
    one, zero = x.new_ones(len(x), 1), x.new_zeros(len(x))
    for _ in range(sweeps):
        Z = _logistic_regressions(x, W, b, Z, ridge=ridge, steps=1)
        Z_1, W_b = torch.cat([Z, one], 1), torch.cat([W, b[:, None]], 1)  # the bias is the weight of a constant code
        W_b = _logistic_regressions(by_pixel, Z_1, zero, W_b, ridge=ridge, steps=1)
        W, b = W_b[:, :-1].contiguous(), W_b[:, -1].contiguous()
    return W, b


def _fit_codes(x: Tensor, W: Tensor, b: Tensor, *, ridge: float) -> Tensor:
    """Codes ``(m, k)`` of images ``x`` ``(m, d)`` that minimise cross-entropy plus ridge, given ``W`` and ``b``."""
    return _logistic_regressions(x, W, b, x.new_zeros(len(x), W.shape[1]), ridge=ridge, steps=_TEST_STEPS)


def _logistic_regressions(
    x: Tensor, basis: Tensor, offset: Tensor, start: Tensor, *, ridge: float, steps: int
) -> Tensor:  # fmt: skip
    """Newton's method on ``n`` logistic regressions that share their inputs, a chunk of them at a time.

    Args:
        x: targets ``(n, d)`` within ``[0, 1]``.
        basis: inputs ``(d, k)``.
        offset: constant part of the logits, ``(d,)``.
        start: coefficients ``(n, k)`` to start from.
        ridge: penalty on half the squared coefficients.
        steps: largest number of Newton steps; a step that would increase a row's objective is halved until it does not.

    Returns:
        Coefficients ``(n, k)``.
    """
    k, d = basis.shape[1], x.shape[1]
    row, column = torch.tril_indices(k, k, device=x.device)
    products = basis[:, row] * basis[:, column]  # (d, k (k + 1) / 2), for the Hessians' lower triangles

    def objective(target: Tensor, z: Tensor, logits: Tensor) -> Tensor:
        return (F.softplus(logits) - target * logits).sum(1) + ridge / 2 * z.square().sum(1)

    fitted = []
    for target, z in zip(row_chunks(x, d), row_chunks(start, d), strict=True):
        logits = z @ basis.T + offset
        value = objective(target, z, logits)
        for _ in range(steps):
            p = torch.sigmoid(logits)
            gradient = (p - target) @ basis + ridge * z
            hessian = x.new_zeros(len(z), k, k, dtype=torch.float64)  # ill-conditioned where pixels saturate
            hessian[:, row, column] = ((p * (1 - p)) @ products).double()
            hessian.diagonal(dim1=1, dim2=2).add_(ridge)
            factor = torch.linalg.cholesky(hessian)
            step = torch.cholesky_solve(gradient.double()[:, :, None], factor)[:, :, 0].to(x.dtype)
            left = (gradient * step).sum(1)  # twice the decrease that the quadratic model predicts, in nats

            ceiling = value * (1 + 8 * torch.finfo(x.dtype).eps)  # at the optimum steps change it by rounding only
            for _ in range(_HALVINGS):
                logits = (z - step) @ basis.T + offset
                moved_value = objective(target, z - step, logits)
                worse = ~(moved_value <= ceiling)  # not `>`: true for NaN as well
                if not worse.any():
                    break
                step[worse] /= 2
            else:
                step[worse] = 0
                logits = (z - step) @ basis.T + offset
                moved_value = objective(target, z - step, logits)
            z, value = z - step, moved_value
            if left.max() < _CONVERGED:
                break
        fitted.append(z)
    return torch.cat(fitted)
