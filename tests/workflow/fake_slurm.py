"""A stand-in for SLURM's commands that really runs the jobs, so that the executor is tested without a cluster.

Linked as sbatch, squeue, scancel, sacct and scontrol into one folder, which also holds its state. Files that a test
may put there: ``squeue.broken`` (squeue fails once for each line in it), ``hold`` (jobs stay in the queue, held),
``in_vain`` (they stay in the queue for the reason in the file), ``refuse`` (sbatch refuses), ``full`` (sbatch
refuses once for each line in it, because there are too many jobs), ``silent`` (sbatch submits and says that it got
no answer), ``forget`` (squeue does not know ended jobs, or those of them in the file), ``accounting`` (sacct
works), ``<exit code>.state`` (the state of jobs that end with this code), and ``<job>.lost`` (the state of a job
that did not end by itself).
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
    if once_less("full"):
        sys.stderr.write(
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates "
            "accounting/QOS policy (job submit limit, user's size and/or time limits)\n"
        )
        return 1
    script = Path(arguments[-1])
    output = next(line.split("=", 1)[1] for line in script.read_text().splitlines() if "--output=" in line)
    job = len(list(FOLDER.glob("*.job"))) + 101
    pid = 0
    if not (FOLDER / "hold").exists() and not (FOLDER / "in_vain").exists():
        command = 'bash "$0" >>"$1" 2>&1; echo $? >"$2.part"; mv "$2.part" "$2"'
        child = subprocess.Popen(
            ["bash", "-c", command, str(script), output, str(FOLDER / f"{job}.rc")],
            env=os.environ | {"SLURMD_NODENAME": "node1", "SLURM_JOB_ID": str(job)},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        pid = child.pid
    comment = next((word.split("=", 1)[1] for word in arguments if word.startswith("--comment=")), "(null)")
    (FOLDER / f"{job}.job").write_text("\n".join([str(pid), comment, output, " ".join(["sbatch", *arguments])]))
    if (FOLDER / "silent").exists():
        sys.stderr.write("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation\n")
        return 1
    sys.stdout.write(f"{job}\n")
    return 0


def squeue(arguments):
    if once_less("squeue.broken"):
        sys.stderr.write("slurm_load_jobs error: Unable to contact slurm controller\n")
        return 1
    for job, state, reason, status in states():
        if status is not None and forgotten(job):
            continue
        _, comment, output, _ = (FOLDER / f"{job}.job").read_text().split("\n")
        node = "node1" if state != "PENDING" else ""
        sys.stdout.write(
            f"{job:24}|{state:24}|{status or 0:<12}|0       |{node:64}|{reason:160}|{output:400}|{comment:80}\n"
        )
    return 0


def once_less(name):
    """Take a line from a file; whether there was one."""
    path = FOLDER / name
    left = path.read_text().splitlines() if path.exists() else []
    if left:
        path.write_text("\n".join(left[1:]))
    return bool(left)


def forgotten(job):
    path = FOLDER / "forget"
    return path.exists() and job in (path.read_text().split() or [job])


def scontrol(arguments):
    sys.stdout.write("ClusterName             = standin\n")
    return 0


def sacct(arguments):
    if not (FOLDER / "accounting").exists():
        sys.stderr.write("Slurm accounting storage is disabled\n")
        return 1
    jobs = next((word.split("=", 1)[1].split(",") for word in arguments if word.startswith("--jobs=")), None)
    for job, state, _, status in states():
        if jobs is None or job in jobs:
            line = (FOLDER / f"{job}.job").read_text().split("\n")[3]
            state = "CANCELLED by 0" if state == "CANCELLED" else state
            sys.stdout.write(f"{job}|{state}|{(status or 0) >> 8}:{(status or 0) & 127}|node1|{line}\n")
    return 0


def states():
    """Id, state, reason and wait status of every job; a job that has not ended has no status."""
    waits_for = (FOLDER / "in_vain").read_text().strip() if (FOLDER / "in_vain").exists() else "JobHeldUser"
    for path in sorted(FOLDER.glob("*.job")):
        code = path.with_suffix(".rc")
        if path.with_suffix(".cancelled").exists():
            row = ("CANCELLED", "None", 15)
        elif (lost := path.with_suffix(".lost")).exists():
            row = (lost.read_text().strip(), "None", 15)
        elif code.exists():
            value = int(code.read_text())
            given = FOLDER / f"{value}.state"
            state = given.read_text().strip() if given.exists() else "FAILED" if value else "COMPLETED"
            row = (state, "NonZeroExitCode" if value else "None", value << 8)
        else:
            row = ("RUNNING", "None", None) if int(path.read_text().split("\n")[0]) else ("PENDING", waits_for, None)
        yield (path.stem, *row)


def scancel(arguments):
    for job in arguments:
        (FOLDER / f"{job}.cancelled").touch()
        pid = int((FOLDER / f"{job}.job").read_text().split("\n")[0])
        if pid and not (FOLDER / f"{job}.rc").exists():
            os.killpg(pid, signal.SIGTERM)
    return 0


if __name__ == "__main__":
    name = Path(sys.argv[0]).name
    with (FOLDER / "calls").open("a") as calls:
        calls.write(" ".join([name, *sys.argv[1:]]) + "\n")
    commands = {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "sacct": sacct, "scontrol": scontrol}
    sys.exit(commands[name](sys.argv[1:]))
