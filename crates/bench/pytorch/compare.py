#!/usr/bin/env python3
"""PyTorch's natural formulations of the compressors, measured as `backburn bench compress --json` measures its own.

    python3 -m pip install --upgrade torch
    python3 compare.py [--threads N] [--samples N] [--layout flat|layers] [COMPRESSOR ...]

Prints one JSON row a compressor: one step of error feedback on the tensors of ResNet-18 (11,173,962 coordinates),
p = g + e; C(p); e = p - decode(C(p)), with the fields of the Rust rows. Bytes are those of the tensors that
would be sent, with signs and levels packed as far as the formulation packs them. Nothing is written as bytes, so the
fields of encoding and decoding are null. Compare with the current PyTorch: its version is said first, and is in every
row.
"""

import argparse
import json
import math
import sys
import time

import torch


def resnet18():
    shapes = [(64, 3, 3, 3), (64,), (64,)]
    inputs = 64
    for width in (64, 128, 256, 512):
        for _ in range(2):
            shapes += [(width, inputs, 3, 3), (width,), (width,), (width, width, 3, 3), (width,), (width,)]
            if inputs != width:
                shapes += [(width, inputs, 1, 1), (width,), (width,)]
            inputs = width
    return shapes + [(10, 512), (10,)]


# Each takes p and the unit's state, and returns what is sent, how to decode it, and its bytes.


def identity(p, state):
    return p.clone(), lambda sent: sent, 4 * p.numel()


def scaled_sign(p, state):
    scale = p.abs().mean()
    bits = p >= 0
    return (scale, bits), lambda sent: torch.where(sent[1], sent[0], -sent[0]), math.ceil(p.numel() / 8) + 4


def top_k(p, state):
    flat = p.view(-1)
    k = math.ceil(0.01 * flat.numel())
    _, indices = torch.topk(flat.abs(), k, sorted=False)
    values = flat[indices]

    def decode(sent):
        y = torch.zeros_like(flat)
        y[sent[0]] = sent[1]
        return y.view_as(p)

    return (indices, values), decode, 8 * k


def random_k(p, state):
    # A shared seed draws the mask: only values are sent.
    flat = p.view(-1)
    k = math.ceil(0.01 * flat.numel())
    indices = torch.randint(flat.numel(), (k,))
    values = flat[indices]

    def decode(sent):
        y = torch.zeros_like(flat)
        y[indices] = sent
        return y.view_as(p)

    return values, decode, 4 * k


def qsgd(p, state):
    bucket, levels = 512, 127
    flat = p.view(-1)
    rows = torch.nn.functional.pad(flat, (0, -flat.numel() % bucket)).view(-1, bucket)
    norms = rows.norm(dim=1, keepdim=True).clamp_min(1e-30)
    scaled = rows.abs() / norms * levels
    whole = scaled.floor()
    whole += torch.rand_like(scaled) < scaled - whole
    codes = (whole * rows.sign()).to(torch.int8)
    omega = min(bucket / levels**2, math.sqrt(bucket) / levels)

    def decode(sent):
        y = sent[1].float() * (sent[0] / (levels * (1 + omega)))
        return y.view(-1)[: flat.numel()].view_as(p)

    return (norms, codes), decode, codes.numel() + 4 * norms.numel()


def low_rank(p, state):
    rank = 4
    if p.dim() < 2:
        return identity(p, state)
    m = p.view(p.shape[0], -1)
    if "q" not in state:
        state["q"] = torch.randn(m.shape[1], min(rank, *m.shape))
    left, _ = torch.linalg.qr(m @ state["q"])
    state["q"] = m.t() @ left
    return (left, state["q"]), lambda sent: (sent[0] @ sent[1].t()).view_as(p), 4 * (left.numel() + state["q"].numel())


COMPRESSORS = {
    "identity": identity,
    "sign:scaled": scaled_sign,
    "topk:0.01": top_k,
    "randk:0.01": random_k,
    "qsgd:s=127,bucket=512,scaled": qsgd,
    "lowrank:4": low_rank,
}


def median(seconds):
    return sorted(seconds)[len(seconds) // 2]


def measure(name, compress, shapes, samples):
    d = sum(math.prod(s) for s in shapes)
    gradients = [[torch.randn(s) for s in shapes] for _ in range(4)]
    errors = [torch.zeros(s) for s in shapes]
    states = [{} for _ in shapes]
    total, other = torch.zeros(d), torch.randn(d)
    steps, adds = [], []
    for step in range(2 + samples):
        start = time.perf_counter()
        size = 0
        for i, g in enumerate(gradients[step % 4]):
            p = g + errors[i]
            sent, decode, n = compress(p, states[i])
            errors[i] = p - decode(sent)
            size += n
        steps.append(time.perf_counter() - start)
        start = time.perf_counter()
        total.add_(other)
        adds.append(time.perf_counter() - start)
    messages = [[compress(g, states[i]) for i, g in enumerate(gradients[w % 4])] for w in range(8)]
    means = []
    for _ in range(3):
        start = time.perf_counter()
        for i, shape in enumerate(shapes):
            mean = torch.zeros(shape)
            for message in messages:
                sent, decode, _ = message[i]
                mean += decode(sent)
            mean /= len(messages)
        means.append(time.perf_counter() - start)
    seconds, add = median(steps[2:]), median(adds[2:])
    return {
        "compressor": name,
        "layout": "flat" if len(shapes) == 1 else "layers",
        "d": d,
        "seconds": seconds,
        "bytes": size,
        "bits_per_coordinate": 8 * size / d,
        "entropy_bits_per_coordinate": None,
        "add_seconds": add,
        "floor_ratio": seconds / add,
        "encode_seconds": None,
        "decode_seconds": None,
        "decode_mean_seconds": median(means),
        "way_seconds": None,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--samples", type=int, default=7)
    parser.add_argument("--layout", choices=["flat", "layers"], default="layers")
    parser.add_argument("compressors", nargs="*", default=list(COMPRESSORS))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_grad_enabled(False)
    torch.manual_seed(1)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads", file=sys.stderr)
    shapes = resnet18()
    if args.layout == "flat":
        shapes = [(sum(math.prod(s) for s in shapes),)]
    for name in args.compressors:
        print(json.dumps(measure(name, COMPRESSORS[name], shapes, args.samples)), flush=True)


if __name__ == "__main__":
    main()
