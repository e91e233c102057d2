/**
 * Runs a program and measures what it cost: seconds, CPU, memory, and the server's CPU beside it.
 *
 * @module
 */

/** What a run cost. */
export interface Measured {
  seconds: number;
  /** Of the program and of what it started. */
  cpuSeconds: number;
  /** Of the server meanwhile, all its processes. */
  serverCpuSeconds: number;
  /** Peak of resident memory of the program; 0 where the system does not tell. */
  peakBytes: number;
  /** What it printed. */
  output: string;
}

/** What to run. */
export interface MeasuredCommand {
  program: string;
  args: readonly string[];
  env?: Record<string, string>;
  cwd?: string;
  /** Process id of the server's first process. */
  serverPid: number;
}

/** Prints, as its last line, the CPU time of what it ran; the shell itself costs nothing to speak of. */
const TIMED = '"$@"; code=$?; times >&2; exit $code';
const TICKS_A_SECOND = 100;
const LOOK_EVERY_MS = 40;

/** Runs it to its end. @throws {Error} with what it printed when it fails */
export async function runMeasured(command: MeasuredCommand): Promise<Measured> {
  const serverBefore = await serverCpuSeconds(command.serverPid);
  const begun = performance.now();
  const child = new Deno.Command("sh", {
    args: ["-c", TIMED, "sh", command.program, ...command.args],
    ...(command.env === undefined ? {} : { env: command.env }),
    ...(command.cwd === undefined ? {} : { cwd: command.cwd }),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let peakBytes = 0;
  const looking = setInterval(() => {
    for (const pid of childrenOf(child.pid)) peakBytes = Math.max(peakBytes, peakOf(pid));
  }, LOOK_EVERY_MS);
  const { success, stdout, stderr } = await child.output().finally(() => clearInterval(looking));
  const seconds = (performance.now() - begun) / 1000;
  const errors = new TextDecoder().decode(stderr);
  if (!success) throw new Error(`${command.program} failed: ${errors.slice(0, 2000)}`);
  return {
    seconds,
    cpuSeconds: cpuOf(errors),
    serverCpuSeconds: await serverCpuSeconds(command.serverPid) - serverBefore,
    peakBytes,
    output: new TextDecoder().decode(stdout),
  };
}

/** The last line of `times` holds user and system time of the children, as `0m1.23s 0m0.45s`. */
function cpuOf(errors: string): number {
  const line = errors.trimEnd().split("\n").at(-1) ?? "";
  let seconds = 0;
  for (const [, minutes, rest] of line.matchAll(/(\d+)m([\d.]+)s/g)) {
    seconds += Number(minutes) * 60 + Number(rest);
  }
  return seconds;
}

/** The server's processes that live, and those that have ended and were counted by the first one. */
async function serverCpuSeconds(pid: number): Promise<number> {
  await backendsGone(pid);
  let ticks = ticksOf(pid, { withEnded: true });
  for (const child of childrenOf(pid)) ticks += ticksOf(child, { withEnded: false });
  return ticks / TICKS_A_SECOND;
}

/** A backend ends a moment after its client; only then is it counted. */
async function backendsGone(pid: number): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const busy = childrenOf(pid).some((child) => /127\.0\.0\.1|\[local\]/.test(titleOf(child)));
    if (!busy) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function ticksOf(pid: number, { withEnded }: { withEnded: boolean }): number {
  const stat = readProc(`/proc/${pid}/stat`);
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
  // Fields 14 to 17 of proc(5): user, system, and both of ended children.
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields.slice(11, 15);
  return user + system + (withEnded ? endedUser + endedSystem : 0);
}

function titleOf(pid: number): string {
  return readProc(`/proc/${pid}/cmdline`);
}

function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readProc(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
}

function childrenOf(pid: number): number[] {
  return readProc(`/proc/${pid}/task/${pid}/children`).split(" ").filter(Boolean).map(Number);
}

/** A file of a process; empty once the process has ended. */
function readProc(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || /os error 3/.test(String(error))) return "";
    throw error;
  }
}
