/**
 * The service as a function on the played platform, with S3 beside it: starts its jobs, waits for them and
 * says what they cost.
 *
 * @module
 */
import { toBase64 } from "../../supabase/functions/backup/core/bytes.ts";
import type { Job } from "../../supabase/functions/backup/core/job.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import type { Session } from "../../supabase/functions/backup/postgres/session.ts";
import type { VerifyReport } from "../../supabase/functions/backup/repository/mod.ts";
import {
  type HostedPlatform,
  type PlatformFigures,
  type PlatformOptions,
  startHostedPlatform,
} from "../../tests/support/hosted_platform.ts";
import { type S3Server, startS3Server } from "../../tests/support/s3_server.ts";
import { fileURLToPath } from "../paths.ts";
import { DENO_RUN } from "../testing/deno_run.ts";
import { endedOnInterrupt } from "./on_interrupt.ts";

const KEY = "sb_secret_soak_0123456789abcdef";
const VERIFY = fileURLToPath(new URL("../verify.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));
/** Between two looks at whether a job has ended. */
const LOOK_MS = 200;
/** A request whose isolate was killed is sent again. */
const ATTEMPTS = 20;

/** Where the service works. */
export interface HostedServiceOptions {
  /** The project's database, which is saved. */
  sourceUrl: string;
  /** The database that restores go into. */
  targetUrl: string;
  seed?: number;
  /** How often the project's clock calls `tick`. @default 60_000, as it does */
  tickMs?: number;
  /** A storage that has something already, and its key. @default an empty one and a new key */
  stored?: { s3: S3Server; encryptionKey: string };
  /** More of the function's environment. */
  variables?: Record<string, string>;
  /** See {@linkcode PlatformOptions}. */
  beside?: NonNullable<PlatformOptions["beside"]>;
}

/** A job that has ended, and what it took. */
export interface EndedJob {
  job: Job;
  seconds: number;
  /** Of the platform, from start to end of the job. */
  figures: PlatformFigures;
  storageCalls: number;
}

/** The running service. */
export interface HostedService extends AsyncDisposable {
  platform: HostedPlatform;
  /** What isolates have written. */
  log: string[];
  /** Starts an action's job and waits for its end, however it ends. */
  run(action: string, body?: Record<string, unknown>): Promise<EndedJob>;
  /** Calls an action until the service itself answers. @throws {Error} with any refusal */
  call(
    query: string,
    options?: { method?: string; body?: Record<string, unknown> },
  ): Promise<unknown>;
  /** Reads and checks all that is stored, or all of the copy, in a process without limits. */
  verify(options?: { copy: boolean }): Promise<VerifyReport>;
  storedBytes(): Promise<number>;
}

/** The further destination: a folder of the same bucket. */
const COPY = { name: "copy", prefix: "copy" } as const;

function copyIn({ endpoint }: S3Server): Record<string, string> {
  return {
    ...{ ...COPY, type: "s3", bucket: "backups", endpoint },
    ...{ accessKey: "env:BACKUP_STORAGE_ACCESS_KEY", secretKey: "env:BACKUP_STORAGE_SECRET_KEY" },
  };
}

/** Starts and initializes it. */
export async function startHostedService(options: HostedServiceOptions): Promise<HostedService> {
  const { sourceUrl, targetUrl, seed = 1 } = options;
  const { s3, encryptionKey } = options.stored ?? {
    s3: await startS3Server(),
    encryptionKey: toBase64(crypto.getRandomValues(new Uint8Array(32))),
  };
  const log: string[] = [];
  const platform = startHostedPlatform({
    variables: {
      SUPABASE_DB_URL: sourceUrl,
      BACKUP_SOAK_TARGET_URL: targetUrl,
      SUPABASE_SECRET_KEYS: JSON.stringify({ default: KEY }),
      BACKUP_STORAGE_TYPE: "s3",
      BACKUP_STORAGE_BUCKET: "backups",
      BACKUP_STORAGE_ENDPOINT: s3.endpoint,
      BACKUP_STORAGE_ACCESS_KEY: s3.credentials.AWS_ACCESS_KEY_ID,
      BACKUP_STORAGE_SECRET_KEY: s3.credentials.AWS_SECRET_ACCESS_KEY,
      BACKUP_DESTINATIONS: JSON.stringify([copyIn(s3)]),
      BACKUP_ALLOWED_HOSTS: "127.0.0.1",
      BACKUP_ENCRYPTION_KEY: encryptionKey,
      BACKUP_DATABASE_PROFILE: "plain",
      // What else would begin by itself would be measured with what is meant.
      BACKUP_ENABLE_CONFIG_BACKUP: "false",
      BACKUP_ENABLE_FILES_BACKUP: "false",
      BACKUP_ENABLE_VERIFICATION: "false",
      ...options.variables,
    },
    kills: { seed, betweenMs: [0, 0], share: 0, most: 0 },
    onLog: (line) => void log.push(line),
    ...(options.beside === undefined ? {} : { beside: options.beside }),
  });
  const state = await connect({ url: sourceUrl });
  const service = new Service({ platform, s3, state, log, encryptionKey, options });
  try {
    await service.call("init");
  } catch (error) {
    await service[Symbol.asyncDispose]();
    throw error;
  }
  return endedOnInterrupt(service);
}

class Service implements HostedService {
  readonly platform: HostedPlatform;
  readonly log: string[];
  readonly #s3: S3Server;
  readonly #state: Session;
  readonly #encryptionKey: string;
  readonly #tickMs: number;

  constructor({ platform, s3, state, log, encryptionKey, options }: {
    platform: HostedPlatform;
    s3: S3Server;
    state: Session;
    log: string[];
    encryptionKey: string;
    options: HostedServiceOptions;
  }) {
    this.platform = platform;
    this.log = log;
    this.#s3 = s3;
    this.#state = state;
    this.#encryptionKey = encryptionKey;
    this.#tickMs = options.tickMs ?? 60_000;
  }

  async run(action: string, body: Record<string, unknown> = {}): Promise<EndedJob> {
    const before = { figures: this.platform.figures(), calls: this.#s3.calls() };
    const startedAt = performance.now();
    const said = await this.call(action, { body }) as Partial<Job> & { executionId?: string };
    const jobId = said.jobId ?? said.executionId!;
    const kind = said.kind ?? "recovery";
    await this.#untilEnded(jobId);
    const ended = {
      seconds: (performance.now() - startedAt) / 1000,
      figures: difference(this.platform.figures(), before.figures),
      storageCalls: this.#s3.calls() - before.calls,
    };
    const job = await this.call(`job&jobId=${jobId}&type=${kind}`, { method: "GET" }) as Job;
    return { job, ...ended };
  }

  /**
   * Calls until the service itself answers. A job that was recorded before its starter was killed is
   * found by the refusal to start another.
   *
   * @throws {Error} with any other refusal
   */
  async call(
    query: string,
    { method = "POST", body = {} }: { method?: string; body?: Record<string, unknown> } = {},
  ): Promise<unknown> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      const answer = await fetch(`${this.platform.url}?action=${query}`, {
        method,
        headers: { apikey: KEY },
        ...(method === "POST" ? { body: JSON.stringify(body) } : {}),
      });
      const said = await answer.json();
      if (answer.status === 546) continue;
      if (said.success) return said.data;
      if (answer.status === 409 && said.error.details?.jobId !== undefined) {
        return said.error.details;
      }
      throw new Error(`Cannot ${query}: ${JSON.stringify(said)}`);
    }
    throw new Error(`Cannot ${query}: every isolate that was asked was killed`);
  }

  async verify({ copy }: { copy: boolean } = { copy: false }): Promise<VerifyReport> {
    const place = copy ? `backups/${COPY.prefix}` : "backups";
    const repository = `s3://${place}?endpoint=${encodeURIComponent(this.#s3.endpoint)}`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        ...DENO_RUN,
        ...["--config", CONFIG, VERIFY, "--json", "--repository", repository],
      ],
      env: { BACKUP_ENCRYPTION_KEY: this.#encryptionKey, ...this.#s3.credentials },
    }).output();
    const text = new TextDecoder();
    try {
      return JSON.parse(text.decode(stdout));
    } catch {
      throw new Error(`Cannot verify: ${text.decode(stdout)}${text.decode(stderr)}`);
    }
  }

  storedBytes(): Promise<number> {
    return this.#s3.storedBytes();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.platform[Symbol.asyncDispose]();
    await this.#state.close();
    await this.#s3.close();
  }

  /** Looks into the table, because asking the service would cost what is measured. */
  async #untilEnded(jobId: string): Promise<void> {
    let tickedAt = performance.now();
    for (;;) {
      const [run] = await this.#state.query(
        "SELECT status FROM backup_internal.job_runs WHERE job_id = $1",
        [jobId],
      );
      if (run?.status !== "running") return;
      if (performance.now() - tickedAt > this.#tickMs) {
        tickedAt = performance.now();
        await this.call("tick");
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  }
}

/** Peaks are not of the time between: the platform does not forget them. */
function difference(after: PlatformFigures, before: PlatformFigures): PlatformFigures {
  const ended = { ...after.ended };
  for (const why of Object.keys(ended) as (keyof typeof ended)[]) ended[why] -= before.ended[why];
  return {
    ...after,
    requests: after.requests - before.requests,
    isolates: after.isolates - before.isolates,
    cpuMs: after.cpuMs - before.cpuMs,
    ended,
  };
}
