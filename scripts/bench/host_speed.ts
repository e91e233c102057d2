/**
 * How fast this machine is at the moment: does the same small piece of work five times a second and prints when,
 * and the CPU milliseconds that it took. Beside a long measurement it tells the host's moods from the program's.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
const SIZE = 4 << 20;
const PAUSE_MS = 200;

/** Of this thread, in milliseconds. */
function cpuMs(): number {
  const spent = Deno.readTextFileSync(`/proc/self/task/${Deno.pid}/schedstat`);
  return Number(spent.split(" ")[0]) / 1e6;
}

const from = Uint8Array.from({ length: SIZE }, (_, at) => at * 31);
const to = new Uint8Array(SIZE);

/** Copies, counts and makes objects, as a worker does. */
function work(): number {
  to.set(from);
  let sum = 0;
  for (let at = 0; at < SIZE; at += 2) sum = (Math.imul(sum, 31) + to[at]!) | 0;
  const named: Record<string, number> = {};
  for (let at = 0; at < 4000; at++) named[`k${at * 7919 % 4000}`] = at;
  const numbered = new Map<number, number>();
  for (let at = 0; at < 8000; at++) numbered.set(at ^ sum, at);
  return sum + numbered.size + named.k1!;
}

// Until it is compiled it says nothing of the machine.
for (let time = 0; time < 100; time++) work();
for (;;) {
  const before = cpuMs();
  work();
  console.log(Date.now(), (cpuMs() - before).toFixed(3));
  await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
}
