"""A stand-in for SLURM's commands that really runs the jobs, so that the executor is tested without a cluster.

Linked as sbatch, squeue and scancel into one folder, which also holds its state. Files that a test may put there:
``squeue.broken`` (squeue fails once for each line in it), ``hold`` (jobs stay in the queue, held), ``refuse`` (sbatch
refuses).
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

FOLDER = Path(sys.argv[0]).parent


def sbatch(arguments):
    if arguments == ["--version"]:
        return 0
    if (FOLDER / "refuse").exists():
        sys.stderr.write("sbatch: error: Memory specification can not be satisfied\n")
        return 1
    script = Path(arguments[-1])
    output = next(line.split("=", 1)[1] for line in script.read_text().splitlines() if "--output=" in line)
    job = len(list(FOLDER.glob("*.job"))) + 101
    if (FOLDER / "hold").exists():
        (FOLDER / f"{job}.job").write_text("0")
    else:
        command = 'bash "$0" >>"$1" 2>&1; echo $? >"$2.part"; mv "$2.part" "$2"'
        child = subprocess.Popen(
            ["bash", "-c", command, str(script), output, str(FOLDER / f"{job}.rc")],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        (FOLDER / f"{job}.job").write_text(str(child.pid))
    sys.stdout.write(f"{job}\n")
    return 0


def squeue(arguments):
    broken = FOLDER / "squeue.broken"
    if broken.exists() and (left := broken.read_text().splitlines()):
        broken.write_text("\n".join(left[1:]))
        sys.stderr.write("slurm_load_jobs error: Unable to contact slurm controller\n")
        return 1
    for path in sorted(FOLDER.glob("*.job")):
        code = path.with_suffix(".rc")
        if path.with_suffix(".cancelled").exists():
            row = ("CANCELLED", "None", 15)
        elif code.exists():
            value = int(code.read_text())
            row = ("FAILED", "NonZeroExitCode", value << 8) if value else ("COMPLETED", "None", 0)
        else:
            row = ("PENDING", "JobHeldUser", 0) if path.read_text() == "0" else ("RUNNING", "None", 0)
        sys.stdout.write(f"{path.stem:24}|{row[0]:24}|{row[1]:64}|{row[2]:<12}\n")
    return 0


def scancel(arguments):
    for job in arguments:
        (FOLDER / f"{job}.cancelled").touch()
        pid = int((FOLDER / f"{job}.job").read_text())
        if pid and not (FOLDER / f"{job}.rc").exists():
            os.killpg(pid, signal.SIGTERM)
    return 0


if __name__ == "__main__":
    name = Path(sys.argv[0]).name
    with (FOLDER / "calls").open("a") as calls:
        calls.write(" ".join([name, *sys.argv[1:]]) + "\n")
    sys.exit({"sbatch": sbatch, "squeue": squeue, "scancel": scancel}[name](sys.argv[1:]))
