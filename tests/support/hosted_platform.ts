/**
 * The hosted platform on this machine: a front that starts isolates (a process each, see
 * `hosted_isolate.ts`), routes requests to them and enforces the limits by killing.
 *
 * How it counts, and where that differs from the platform:
 * - CPU is the time of the process's main thread from the moment when the isolate's own code begins:
 *   compiling and evaluating the function's modules counts; Deno's start does not, nor that it finds,
 *   reads and translates their sources, which the platform's bundle has done. Half of the limit retires
 *   the isolate, all of it kills.
 * - Memory is used heap plus what hangs on it outside, as the platform counts, reported by the isolate
 *   five times a second; a peak between two reports goes unseen, so the resident set is kept as well.
 * - The wall clock retires at half and kills at its end. `beforeunload` comes at 90 percent of each limit.
 * - A request goes to the newest isolate that is not retired, also while that one works; else a new one
 *   starts. A retired isolate without requests and background work is ended.
 *
 * Everything random comes from `seed`.
 *
 * @module
 */
import { isolateCommand, writeProgram } from "./isolate_command.ts";
import { randomFrom } from "./random_from.ts";

/** Limits of an isolate. */
export interface IsolateLimits {
  cpuMs: number;
  memoryBytes: number;
  wallMs: number;
}

/** The platform's smallest plan. */
export const HOSTED_LIMITS: IsolateLimits = {
  cpuMs: 2000,
  memoryBytes: 256 * 1024 * 1024,
  wallMs: 150_000,
};

/** Why an isolate ended. */
export type EndReason =
  | "cpu"
  | "memory"
  | "wall_clock"
  | "random"
  | "early_drop"
  | "termination"
  | "crash";

/** How to start it. */
export interface PlatformOptions {
  /** The function's environment. `SUPABASE_URL` is added, it leads back here. */
  variables: Record<string, string>;
  /** @default HOSTED_LIMITS */
  limits?: Partial<IsolateLimits>;
  /** Whether functions find themselves hosted: no local storage then. @default true */
  hosted?: boolean;
  /** Kills isolates at a random moment of their life, at most `most` in all. */
  kills?: { seed: number; betweenMs: readonly [number, number]; share: number; most: number };
  /** The function's front door. @default the one of this project */
  entry?: URL;
  /** A deployed function, which has its own folder and import map and only the platform's variables. */
  deployed?: { folder: string; importMap: string; deploymentId: string };
  /** Told what isolates write to their log. */
  onLog?: (line: string) => void;
  /** Another service of the project, below a path of the same address. */
  beside?: { path: string; url: string; headers: Record<string, string> };
}

/** What has happened so far. */
export interface PlatformFigures {
  requests: number;
  isolates: number;
  ended: Record<EndReason, number>;
  /** Of all isolates together, in milliseconds of their main threads. */
  cpuMs: number;
  peakMemoryBytes: number;
  peakResidentBytes: number;
}

/** The running platform. */
export interface HostedPlatform extends AsyncDisposable {
  /** `http://127.0.0.1:<port>/functions/v1/backup`. */
  url: string;
  figures(): PlatformFigures;
  /** Kills an isolate that works, a random one; false when none does. */
  killOne(): boolean;
  /** Takes no more part in killing at random; limits stay. */
  stopKilling(): void;
}

interface Isolate {
  process: Deno.ChildProcess;
  startedAt: number;
  port: Promise<number>;
  /** When its random death is due, or never. */
  diesAt: number;
  requests: number;
  pending: number;
  /** When the last request was answered. */
  answeredAt: number;
  memoryBytes: number;
  cpuMs: number;
  /** What starting Deno took. */
  startCpuMs: number;
  retired: boolean;
  warned: boolean;
  ended: boolean;
}

const POLL_MS = 20;
/** An answer may overtake the word that work goes on behind it: an isolate is not idle before so long. */
const SETTLE_MS = 1000;
const SOFT_SHARE = 0.5;
const WARN_SHARE = 0.9;
const FUNCTION = new URL("../../supabase/functions/backup/index.ts", import.meta.url);

/** Starts the front; isolates start with the requests. */
export function startHostedPlatform(options: PlatformOptions): HostedPlatform {
  return new Platform(options);
}

class Platform implements HostedPlatform {
  readonly url: string;
  readonly #options: PlatformOptions;
  readonly #limits: IsolateLimits;
  readonly #random: () => number;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #isolates = new Set<Isolate>();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #endings: Promise<unknown>[] = [];
  /** The program of an isolate. */
  readonly #program: string;
  #killsLeft: number;
  #figures: PlatformFigures = {
    requests: 0,
    isolates: 0,
    ended: { cpu: 0, memory: 0, wall_clock: 0, random: 0, early_drop: 0, termination: 0, crash: 0 },
    cpuMs: 0,
    peakMemoryBytes: 0,
    peakResidentBytes: 0,
  };

  constructor(options: PlatformOptions) {
    this.#options = options;
    this.#limits = { ...HOSTED_LIMITS, ...options.limits };
    this.#random = randomFrom(options.kills?.seed ?? 1);
    this.#killsLeft = options.kills?.most ?? 0;
    this.#program = writeProgram(options.entry ?? FUNCTION);
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      (request) => this.#route(request),
    );
    this.url = `http://127.0.0.1:${this.#server.addr.port}/functions/v1/backup`;
    this.#timer = setInterval(() => this.#enforce(), POLL_MS);
  }

  figures(): PlatformFigures {
    const running = [...this.#isolates].reduce((sum, { cpuMs }) => sum + cpuMs, 0);
    return {
      ...this.#figures,
      ended: { ...this.#figures.ended },
      cpuMs: this.#figures.cpuMs + running,
    };
  }

  killOne(): boolean {
    const working = [...this.#isolates].filter((one) => one.pending + one.requests > 0);
    const chosen = working[Math.floor(this.#random() * working.length)];
    if (chosen === undefined) return false;
    this.#end(chosen, "random");
    return true;
  }

  stopKilling(): void {
    this.#killsLeft = 0;
    for (const isolate of this.#isolates) isolate.diesAt = Infinity;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    for (const isolate of this.#isolates) this.#end(isolate, "termination");
    await Promise.all(this.#endings);
    await this.#server.shutdown();
    await Deno.remove(this.#program);
  }

  async #route(request: Request): Promise<Response> {
    const { beside } = this.#options;
    const { pathname, search } = new URL(request.url);
    if (beside !== undefined && pathname.startsWith(beside.path)) {
      const headers = new Headers(request.headers);
      for (const [name, value] of Object.entries(beside.headers)) headers.set(name, value);
      const { method, body } = request;
      return await fetch(beside.url + pathname + search, { method, headers, body });
    }
    this.#figures.requests += 1;
    const body = request.body === null ? null : await request.arrayBuffer();
    const isolate = [...this.#isolates].findLast((one) => !one.retired) ?? this.#start();
    isolate.requests += 1;
    try {
      const url = new URL(request.url);
      url.port = String(await isolate.port);
      // The gateway cuts its own part of the path off.
      url.pathname = url.pathname.replace(/^\/functions\/v1/, "");
      const answer = await fetch(url, { method: request.method, headers: request.headers, body });
      return new Response(await answer.arrayBuffer(), {
        status: answer.status,
        headers: answer.headers,
      });
    } catch {
      isolate.retired = true;
      return Response.json({ code: "WORKER_RESOURCE_LIMIT", message: "the isolate is gone" }, {
        status: 546,
        headers: { "sb-error-code": "WORKER_RESOURCE_LIMIT" },
      });
    } finally {
      isolate.requests -= 1;
      isolate.answeredAt = performance.now();
    }
  }

  #start(): Isolate {
    const { kills } = this.#options;
    const process = isolateCommand({
      ...{ options: this.#options, limits: this.#limits, program: this.#program },
      url: `http://127.0.0.1:${this.#server.addr.port}`,
    }).spawn();
    const dies = kills !== undefined && this.#killsLeft > 0 && this.#random() < kills.share;
    const life = kills === undefined
      ? 0
      : kills.betweenMs[0] + this.#random() * (kills.betweenMs[1] - kills.betweenMs[0]);
    const port = Promise.withResolvers<number>();
    port.promise.catch(() => {}); // told to whoever waits for it
    const isolate: Isolate = {
      process,
      startedAt: performance.now(),
      port: port.promise,
      diesAt: dies ? performance.now() + life : Infinity,
      requests: 0,
      pending: 0,
      answeredAt: 0,
      memoryBytes: 0,
      cpuMs: 0,
      startCpuMs: 0,
      retired: false,
      warned: false,
      ended: false,
    };
    this.#figures.isolates += 1;
    this.#isolates.add(isolate);
    this.#endings.push(
      this.#listen(isolate, port),
      forward(process.stderr, (line) => this.#options.onLog?.(line)),
      process.status.then(() => this.#end(isolate, "crash")),
    );
    return isolate;
  }

  async #listen(isolate: Isolate, port: PromiseWithResolvers<number>): Promise<void> {
    await forward(isolate.process.stdout, (line) => {
      if (!line.startsWith("{")) return this.#options.onLog?.(line);
      const said = JSON.parse(line);
      if (said.port !== undefined) return port.resolve(said.port);
      if (said.began) {
        this.#measure(isolate);
        isolate.startCpuMs = isolate.cpuMs;
        return;
      }
      isolate.memoryBytes = said.memoryBytes;
      isolate.pending = said.pending;
      const { peakMemoryBytes } = this.#figures;
      this.#figures.peakMemoryBytes = Math.max(peakMemoryBytes, said.memoryBytes);
    });
    port.reject(new Error("the isolate ended before it listened"));
  }

  #enforce(): void {
    const now = performance.now();
    for (const isolate of this.#isolates) {
      if (isolate.ended) continue;
      this.#measure(isolate);
      const shares: [EndReason, number][] = [
        ["cpu", isolate.cpuMs / this.#limits.cpuMs],
        ["memory", isolate.memoryBytes / this.#limits.memoryBytes],
        ["wall_clock", (now - isolate.startedAt) / this.#limits.wallMs],
      ];
      const over = shares.find(([, share]) => share >= 1);
      if (over !== undefined) this.#end(isolate, over[0]);
      else if (now >= isolate.diesAt && this.#killsLeft > 0) {
        this.#killsLeft -= 1;
        this.#end(isolate, "random");
      } else {
        isolate.retired ||= shares.some(([why, share]) => why !== "memory" && share >= SOFT_SHARE);
        const near = shares.find(([, share]) => share >= WARN_SHARE);
        const isIdle = isolate.requests + isolate.pending === 0 &&
          now - isolate.answeredAt > SETTLE_MS;
        // Also one that was warned: were it kept, its own reports would use up what it has left.
        if (isolate.retired && isIdle) {
          this.#end(isolate, "early_drop");
        } else if (near !== undefined) this.#warn(isolate, near[0]);
      }
    }
  }

  #measure(isolate: Isolate): void {
    const { pid } = isolate.process;
    try {
      const spent = Deno.readTextFileSync(`/proc/${pid}/task/${pid}/schedstat`);
      isolate.cpuMs = Number(spent.split(" ")[0]) / 1e6 - isolate.startCpuMs;
      const pages = Number(Deno.readTextFileSync(`/proc/${pid}/statm`).split(" ")[1]);
      const resident = Math.max(this.#figures.peakResidentBytes, pages * 4096);
      this.#figures.peakResidentBytes = resident;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound) && !isGone(error)) throw error;
    }
  }

  #warn(isolate: Isolate, reason: EndReason): void {
    if (isolate.warned) return;
    isolate.warned = true;
    const writer = isolate.process.stdin.getWriter();
    writer.write(new TextEncoder().encode(`${reason}\n`)).catch(() => {}); // it may be gone
    writer.releaseLock();
  }

  #end(isolate: Isolate, reason: EndReason): void {
    if (isolate.ended) return;
    isolate.ended = true;
    isolate.retired = true;
    this.#figures.ended[reason] += 1;
    this.#figures.cpuMs += isolate.cpuMs;
    isolate.cpuMs = 0;
    this.#isolates.delete(isolate);
    isolate.process.stdin.close().catch(() => {}); // it may be gone
    try {
      isolate.process.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // it has ended by itself
    }
  }
}

/** A process that ends while its files are read answers so. */
function isGone(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ESRCH";
}

async function forward(
  stream: ReadableStream<Uint8Array>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) if (line !== "") onLine(line);
  }
  if (rest !== "") onLine(rest);
}
