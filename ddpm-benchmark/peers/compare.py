"""Runs Benchmark and the scripts of the peers in turn, A B A B, and prints the ratios.

    pip install -r requirements.txt
    python compare.py --presets cifar10 --json compare.json

Each ratio is ours over theirs: below 1 we are faster, or smaller. It is the median over the rounds,
and in brackets the least and the most of a round. Maven tells the class path; where there is no
Maven, --class-path does. Leave the machine alone meanwhile.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MAIN = "io.github.ddpm4j.benchmark.Benchmark"

OURS = {"float32": "compiled-float32", "bfloat16": "compiled-bfloat16"}
THEIRS = {
    "float32": ["eager-float32", "eager-float32-channels-last", "compile-float32"],
    "bfloat16": ["autocast-bfloat16", "autocast-bfloat16-channels-last", "compile-bfloat16"],
}
PRESETS = {"diffusers_unet": ["digits", "28x28", "cifar10"], "lucidrains": ["cifar10"]}
MEASURES = {
    "forwardMs": "forward",
    "forwardBackwardMs": "forward+backward",
    "optimizerMs": "optimizer",
    "emaMs": "EMA",
    "stepMs": "whole step",
    "ddim50Ms": "DDIM-50",
    "firstCallMs": "first call",
    "peakRssInferenceMb": "peak RSS inference",
    "peakRssTrainingMb": "peak RSS training",
}


def class_path():
    """What Maven would run the benchmark with; needs no network once the project was built."""
    command = [
        "mvn", "-q", "-o", "-B", "-Dstyle.color=never", "-Pbenchmark", "compile", "exec:java",
        "-Dexec.args=--class-path",
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if "ddpm-benchmark" in line]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(command)} gave no class path; give one by --class-path\n{done.stdout}")
    return re.sub(r"\x1b\[[0-9;]*m", "", lines[-1]).strip()


def measure(command, options, preset, variant, folder):
    """Runs a script or main for one variant of one network; its row."""
    file = folder / "report.json"
    command = command + [
        "--presets", preset, "--variants", variant, "--parts", options.parts,
        "--threads", str(options.threads), "--batch", str(options.batch),
        "--repeats", str(options.repeats), "--device", options.device, "--json", str(file),
    ]
    if options.quick:
        command.append("--quick")
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with exit code {done.returncode}")
    report = json.loads(file.read_text())
    return report, report["rows"][0]


def ratios(ours, theirs, key):
    """Ours over theirs, round by round."""
    return [
        a["measures"][key]["median"] / b["measures"][key]["median"]
        for a, b in zip(ours, theirs)
        if key in a["measures"] and key in b["measures"]
    ]


def cell(values):
    if not values:
        return "-"
    text = f"{statistics.median(values):.2f}"
    return text if len(values) == 1 else f"{text} ({min(values):.2f}..{max(values):.2f})"


def markdown(lines):
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for number, line in enumerate(lines):
        print("| " + " | ".join(text.ljust(width) for text, width in zip(line, widths)) + " |")
        if number == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="cifar10", help="digits,28x28,cifar10 (%(default)s)")
    parser.add_argument("--peers", default="diffusers_unet,lucidrains", help="(%(default)s)")
    parser.add_argument("--precisions", default="float32,bfloat16", help="(%(default)s)")
    parser.add_argument(
        "--variants", default=",".join(sum(THEIRS.values(), [])),
        help="of the peers; compiling takes minutes (%(default)s)")
    parser.add_argument("--parts", default="inference,step,pieces", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="(%(default)s)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--quick", action="store_true", help="as little as possible")
    parser.add_argument("--class-path", help="of the benchmark, if Maven is not to be asked")
    parser.add_argument("--jvm-options", default="", help="what Java is started with")
    parser.add_argument("--json", type=pathlib.Path, help="writes every row of every round")
    options = parser.parse_args()

    java = ["java", "-cp", options.class_path or class_path(), MAIN]
    if options.jvm_options:
        java.append(f"--jvm-options={options.jvm_options}")
    peers = options.peers.split(",")
    wanted = options.variants.split(",")
    results = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for preset in options.presets.split(","):
            for precision in options.precisions.split(","):
                runs = [("ddpm4j", OURS[precision], java)]
                for peer in peers:
                    if preset in PRESETS[peer]:
                        script = [sys.executable, str(HERE / f"{peer}.py")]
                        runs += [(peer, v, script) for v in THEIRS[precision] if v in wanted]
                rows = [[] for _ in runs]
                reports = [{} for _ in runs]
                for _ in range(options.rounds):
                    for i, (_, variant, command) in enumerate(runs):
                        reports[i], row = measure(command, options, preset, variant, folder)
                        rows[i].append(row)
                for (peer, variant, _), rounds, report in zip(runs, rows, reports):
                    results.append(dict(
                        preset=preset, precision=precision, peer=peer, variant=variant,
                        versions=report["versions"], settings=report["settings"], rounds=rounds))

    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    lines = [["network", "ours", "theirs", "parameters ours/theirs", *MEASURES.values()]]
    for ours in (r for r in results if r["peer"] == "ddpm4j"):
        for theirs in results:
            if theirs["peer"] == "ddpm4j" or any(
                    theirs[key] != ours[key] for key in ("preset", "precision")):
                continue
            counts = [r["rounds"][0]["parameters"] for r in (ours, theirs)]
            if theirs["peer"] == "diffusers_unet" and counts[0] != counts[1]:
                sys.exit(f"{theirs['preset']} is not the same network: {counts} parameters")
            cells = [cell(ratios(ours["rounds"], theirs["rounds"], key)) for key in MEASURES]
            lines.append([
                ours["preset"], ours["variant"], f"{theirs['peer']} {theirs['variant']}",
                f"{counts[0]:,} / {counts[1]:,}", *cells])
    markdown(lines)
    print()
    lines = [["network", "who", "variant", *MEASURES.values(), "RSS of engine alone"]]
    for result in results:
        medians = []
        for key in (*MEASURES, "rssLoadedMb"):
            values = [
                r["measures"][key]["median"] for r in result["rounds"] if key in r["measures"]]
            medians.append(f"{statistics.median(values):.4g}" if values else "-")
        lines.append([result["preset"], result["peer"], result["variant"], *medians])
    print("Medians in ms and MB:")
    print()
    markdown(lines)


if __name__ == "__main__":
    main()
