"""The two networks, their loss and their gradients, written out in numpy.

Independent of the code that makes the graphs: plain loops over the taps of a filter, pooling by
argmax (numpy's first maximum is TensorFlow's), float64 throughout. Nothing here is fast.
"""

import numpy as np

# (filter or matrix shape) of each layer, in the order of the flat vector; each has a bias.
SHAPES = {
    "activity": [(1, 3, 24, 32), (1, 5, 32, 48), (1, 5, 48, 64), (64, 7)],
    "cifar10": [(3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 64), (1024, 64), (64, 10)],
}


def split(task, flat):
    arrays, at = [], 0
    for shape in SHAPES[task]:
        for part in (shape, shape[-1:]):
            size = int(np.prod(part))
            arrays.append(flat[at : at + size].astype(np.float64).reshape(part))
            at += size
    assert at == len(flat)
    return arrays


def convolution(x, w):
    rows, columns = w.shape[:2]
    height, width = x.shape[1] - rows + 1, x.shape[2] - columns + 1
    y = np.zeros((len(x), height, width, w.shape[3]))
    for r in range(rows):
        for c in range(columns):
            y += x[:, r : r + height, c : c + width] @ w[r, c]
    return y


def convolution_gradient(x, w, dy):
    dx, dw = np.zeros(x.shape), np.zeros(w.shape)
    height, width = dy.shape[1:3]
    for r in range(w.shape[0]):
        for c in range(w.shape[1]):
            dx[:, r : r + height, c : c + width] += dy @ w[r, c].T
            seen = x[:, r : r + height, c : c + width].reshape(-1, x.shape[3])
            dw[r, c] = seen.T @ dy.reshape(-1, dy.shape[3])
    return dx, dw


def windows(x, rows, columns):
    """The elements of each pooling window in reading order, on the last axis."""
    n, height, width, channels = x.shape
    height, width = height // rows, width // columns
    kept = x[:, : height * rows, : width * columns]
    parts = kept.reshape(n, height, rows, width, columns, channels).transpose(0, 1, 3, 5, 2, 4)
    return parts.reshape(n, height, width, channels, rows * columns)


def pool_gradient(x, rows, columns, dy):
    winner = windows(x, rows, columns).argmax(axis=-1)
    dx = np.zeros(x.shape)
    for n, h, w, c in np.ndindex(*dy.shape):
        r, s = divmod(int(winner[n, h, w, c]), columns)
        dx[n, h * rows + r, w * columns + s, c] += dy[n, h, w, c]
    return dx


def loss_and_logit_gradient(logits, y, weights):
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    total = max(weights.sum(), 1.0)
    loss = -(weights * log_p[np.arange(len(y)), y]).sum() / total
    one_hot = np.eye(logits.shape[1])[y]
    return loss, (np.exp(log_p) - one_hot) * (weights / total)[:, None]


def forward(task, flat, x):
    """Logits, and what the backward pass needs: the inputs of every layer, before and after."""
    arrays = split(task, flat)
    x = x.astype(np.float64)
    pools = {"activity": [(1, 2), (1, 2), None], "cifar10": [(2, 2), (2, 2), None]}[task]
    if task == "activity":
        # Four samples beside each other.
        x = np.concatenate([x[:, n::4] for n in range(4)], axis=2)[:, None]
    tape = []
    for layer, pool in enumerate(pools):
        w, b = arrays[2 * layer : 2 * layer + 2]
        z = convolution(x, w) + b
        a = np.maximum(z, 0)
        out = windows(a, *pool).max(axis=-1) if pool else a
        tape.append((x, w, z, a, pool))
        x = out
    tail = arrays[2 * len(pools) :]
    if task == "activity":
        features = x.mean(axis=(1, 2))
        return features @ tail[0] + tail[1], (tape, x.shape, features, None, tail)
    features = x.reshape(len(x), -1)
    hidden = features @ tail[0] + tail[1]
    logits = np.maximum(hidden, 0) @ tail[2] + tail[3]
    return logits, (tape, x.shape, features, hidden, tail)


def loss_and_gradient(task, flat, x, y, weights):
    logits, (tape, shape, features, hidden, tail) = forward(task, flat, x)
    loss, d = loss_and_logit_gradient(logits, y, weights.astype(np.float64))
    gradients = []
    if hidden is not None:
        gradients = [np.maximum(hidden, 0).T @ d, d.sum(axis=0)]
        d = (d @ tail[2].T) * (hidden > 0)
    gradients = [features.T @ d, d.sum(axis=0), *gradients]
    d = d @ tail[0].T
    if task == "activity":
        d = np.broadcast_to(d[:, None, None, :] / (shape[1] * shape[2]), shape)
    else:
        d = d.reshape(shape)
    for x_in, w, z, a, pool in reversed(tape):
        if pool:
            d = pool_gradient(a, *pool, d)
        d = d * (z > 0)
        bias = d.sum(axis=(0, 1, 2))
        d, dw = convolution_gradient(x_in, w, d)
        gradients = [dw, bias, *gradients]
    return loss, np.concatenate([g.ravel() for g in gradients])
