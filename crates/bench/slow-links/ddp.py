"""PyTorch's DistributedDataParallel over gloo: one rank of the training that `run` times Backburn on.

The same data (the embedded slice of Fashion-MNIST), the same network and first values' distribution, the same step sizes:
SGD without momentum. Prints one JSON object at rank 0.
"""
import argparse, gzip, json, os, pathlib, time
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

parser = argparse.ArgumentParser()
for name, kind in dict(rank=int, world=int, steps=int, batch=int, lr=float, master=str).items():
    parser.add_argument("--" + name, type=kind, required=True)
parser.add_argument("--powersgd", type=int, default=0, help="the rank of the hook's approximation; 0 is plain")
args = parser.parse_args()
torch.set_num_threads(1)
os.environ |= {"MASTER_ADDR": args.master, "MASTER_PORT": "29500", "GLOO_SOCKET_IFNAME": "eth0"}

folder = pathlib.Path(__file__).resolve().parents[2] / "train/src/data/fashion"
def idx(name, header):
    return torch.tensor(bytearray(gzip.decompress((folder / name).read_bytes()))[header:], dtype=torch.uint8)
def part(name):
    images = idx(name + "-images-idx3-ubyte.gz", 16).view(-1, 784).float() / 255
    return images, idx(name + "-labels-idx1-ubyte.gz", 8).long()
(images, labels), (test_images, test_labels) = part("train"), part("t10k")
mean, std = images.mean(), images.std()
images, test_images = (images - mean) / std, (test_images - mean) / std

dist.init_process_group("gloo", rank=args.rank, world_size=args.world)
torch.manual_seed(1)
linear, relu = torch.nn.Linear, torch.nn.ReLU
net = torch.nn.Sequential(linear(784, 2048), relu(), linear(2048, 2048), relu(), linear(2048, 10))
if args.powersgd:
    # The hook's reductions of several buckets overtake each other, which gloo does not survive: all is one bucket.
    dist._DEFAULT_FIRST_BUCKET_BYTES = 100 << 20
model = DistributedDataParallel(net, bucket_cap_mb=100 if args.powersgd else 25)
if args.powersgd:
    state = powerSGD_hook.PowerSGDState(None, matrix_approximation_rank=args.powersgd, start_powerSGD_iter=2)
    model.register_comm_hook(state, powerSGD_hook.powerSGD_hook)
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
steps = args.steps
schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [max(1, steps // 2), max(1, steps * 3 // 4)], 0.1)

# Dealt at random, evenly; each rank passes over its own again and again.
torch.manual_seed(2)
own = torch.randperm(len(labels))[args.rank :: args.world]
def batches():
    while True:
        order = own[torch.randperm(len(own))]
        yield from order.split(args.batch)[: max(1, len(own) // args.batch)]
losses, draws = [], batches()
dist.barrier()
started = time.perf_counter()
for _ in range(steps):
    batch = next(draws)
    loss = torch.nn.functional.cross_entropy(model(images[batch]), labels[batch])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    # As Backburn reports it: of all workers.
    total = loss.detach().clone()
    dist.all_reduce(total)
    losses.append(total.item() / args.world)
seconds = time.perf_counter() - started
with torch.no_grad():
    accuracy = (net(test_images).argmax(1) == test_labels).float().mean().item()
if args.rank == 0:
    print(json.dumps(dict(seconds=seconds, steps=steps, losses=losses, accuracy=accuracy, torch=torch.__version__)))
dist.barrier()
