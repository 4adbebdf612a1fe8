"""Run the bench, or parts of it, and keep what it measures in results/bench.json."""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import numpy as np

from benchmarks.contenders import CONTENDERS
from benchmarks.target import RECIPES
from benchmarks.worker import MATRICES, MEMORY, STREAM

ROOT = Path(__file__).resolve().parent.parent
RECORD = ROOT / "results" / "bench.json"
PYTHON = {
    "tensorflow": Path(sys.executable),
    "jax": ROOT / ".venv-jax" / "bin" / "python",
    "torch": ROOT / ".venv-torch" / "bin" / "python",
}


class Worker:
    """A process that trains when it is told to.

    Args:
        backend: What Keras runs on in it.
        *arguments: What it trains, for `benchmarks.worker`.
    """

    def __init__(self, backend: str, *arguments: str):
        self.process = subprocess.Popen(
            [PYTHON[backend], "-m", "benchmarks.worker", *arguments],
            **environment(backend),
            stdin=subprocess.PIPE,
        )
        self.facts = self._answer()

    def train(self, count: int) -> dict:
        """Train once on so many images: the seconds that it takes, and the memory in MiB."""
        print(count, file=self.process.stdin, flush=True)
        return self._answer()

    def close(self) -> None:
        """End the process."""
        self.process.communicate()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"The process of {self.process.args} ended with status {self.process.wait()}.")
        return json.loads(line)


def environment(backend: str) -> dict:
    """Say how a process of the bench is started."""
    variables = {**os.environ, "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return {"cwd": ROOT, "env": variables, "stdout": subprocess.PIPE, "text": True}


def measure_speed(names: Iterable[str], rounds: int, count: int) -> dict:
    """Let contenders take turns, and time each in every round.

    Args:
        names: Of `CONTENDERS`. One whose backend has no environment is left out, with the reason.
        rounds: How often each takes its turn. A turn before them, which compiles, does not count.
        count: How many images a turn trains on.

    Returns:
        For each name its facts and its images per second in every round; for `matrix products` products per second.
    """
    record, workers = {MATRICES: {}}, {MATRICES: Worker("tensorflow", MATRICES)}
    for name in names:
        contender = CONTENDERS[name]
        record[name] = {"group": contender.group, "backend": contender.backend, "batch_size": contender.batch_size}
        if PYTHON[contender.backend].exists():
            workers[name] = Worker(contender.backend, name)
        else:
            record[name]["left_out"] = f"no environment for {contender.backend}: make test-{contender.backend} makes it"
    for name, worker in workers.items():
        record[name] |= worker.facts
    for turn in range(rounds + 1):
        for name, worker in workers.items():
            units = 20 if name == MATRICES else count
            answer = worker.train(units)
            if turn:
                record[name].setdefault("per_second", []).append(rounded(units / answer["seconds"]))
                record[name]["memory"] = round(answer["memory"])
        show(f"round {turn} of {rounds}")
    for worker in workers.values():
        worker.close()
    return record


def measure_growth(rounds: int, counts: Iterable[int]) -> list[dict]:
    """Time an epoch by the number of images, out of memory and out of a file, and see what memory it takes."""
    records = []
    with tempfile.TemporaryDirectory() as folder:
        workers = {source: Worker("tensorflow", source, folder) for source in (MEMORY, STREAM)}
        for worker in workers.values():
            worker.train(5120)
        for count in counts:
            pair = [{"source": source, "images": count, "seconds": [], "memory": []} for source in workers]
            for _ in range(rounds):
                for record, worker in zip(pair, workers.values()):
                    answer = worker.train(count)
                    record["seconds"].append(rounded(answer["seconds"]))
                    record["memory"].append(round(answer["memory"]))
            records += pair
            show(f"{count} images")
        for worker in workers.values():
            worker.close()
    return records


def measure_target(rounds: int, folder: str) -> dict:
    """Train each recipe until its held-out loss is 150 nats, in turns, with another seed in every round."""
    record = {name: [] for name in RECIPES}
    for seed in range(rounds):
        for name in RECIPES:
            command = [sys.executable, "-m", "benchmarks.target", name, folder, str(seed)]
            result = subprocess.run(command, **environment("tensorflow"), check=True)
            record[name].append(json.loads(result.stdout.splitlines()[-1]))
            show(f"{name}, seed {seed}: {record[name][-1]}")
    return record


def machine() -> dict:
    """Describe the machine, without what would name it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    packages = {name: version(name) for name in ("keras", "numpy", "tensorflow")}
    return {"processor": models[0] if models else platform.machine(), "cores": os.cpu_count(), "packages": packages}


def rounded(value: float) -> float:
    """Keep four digits."""
    return float(f"{value:.4g}")


def show(line: str) -> None:
    """Say how far it is."""
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Run the parts that are asked for; the record keeps what it has of the others."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", default=["speed", "growth", "target"], help="speed, growth, target, or all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each takes its turn; 5")
    parser.add_argument("--images", type=int, default=12_800, help="on how many images a turn of speed trains; 12800")
    parser.add_argument("--only", nargs="*", default=list(CONTENDERS), help="of the part speed these alone")
    parser.add_argument("--counts", nargs="*", type=int, default=[5_000, 50_000, 500_000], help="images of growth")
    parser.add_argument("--folder", default="mnist", help="the data set of the part target, or its folder; mnist")
    parser.add_argument("--out", type=Path, default=RECORD, help="the record")
    arguments = parser.parse_args()
    measure = {
        "speed": lambda: measure_speed(arguments.only, arguments.rounds, arguments.images),
        "growth": lambda: measure_growth(arguments.rounds, arguments.counts),
        "target": lambda: measure_target(arguments.rounds, arguments.folder),
    }
    unknown = [part for part in arguments.parts if part not in measure]
    if unknown:
        parser.error(f"parts {', '.join(unknown)} are unknown. Expected some of {', '.join(measure)}.")
    record = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    for part in arguments.parts:
        record[part] = {"machine": machine(), "measured": measure[part]()}
        arguments.out.write_text(json.dumps(record, indent=1) + "\n")
    summarise(record)


def summarise(record: dict) -> None:
    """Print what was measured."""
    for name, each in record.get("speed", {}).get("measured", {}).items():
        if "per_second" in each:
            values = each["per_second"]
            rate = np.median(values) * each["operations"] / 1e9
            print(f"{name:28} {np.median(values):9.5g} ({min(values):.5g} to {max(values):.5g}) {rate:7.1f} GFLOP/s")
    for each in record.get("growth", {}).get("measured", []):
        print(each)


if __name__ == "__main__":
    main()
