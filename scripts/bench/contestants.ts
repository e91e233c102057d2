/**
 * The commands that are compared: this project's own and PostgreSQL's.
 *
 * @module
 */
import { ROOT } from "../embedded_postgres.ts";
import { join } from "../paths.ts";
import { taskFlags } from "./task_flags.ts";

/** A backup or a restore by one program with one set of options. */
export interface Contestant {
  /** Within its database and direction; what others are compared with. */
  name: string;
  jobs: 1 | 2;
  /** Names of the contestants that it is measured against. */
  peers: readonly string[];
  program: string;
  args(place: Place): string[];
  env?: Record<string, string>;
}

/** Where a contestant reads and writes. */
export interface Place {
  url: string;
  /** A folder: empty for a backup; for a restore, what the backup of the same codec wrote. */
  folder: string;
}

/** What the contestants need. */
export interface ContestantOptions {
  /** Encrypts the repositories. */
  key: string;
  /** Folder of pg_dump and pg_restore; null when they are in PATH. */
  postgresBin: string | null;
  /** Whether that pg_dump has zstd: 16 and later. */
  hasZstd: boolean;
  full: boolean;
}

const JOBS = [2, 1] as const;

/** Programs that save, one after the other as they take turns. */
export function backups(options: ContestantOptions): Contestant[] {
  const { full, hasZstd } = options;
  const codecs = hasZstd ? ["gzip:6", "zstd:1"] : ["gzip:6"];
  const gzip = (jobs: 1 | 2) => full && jobs === 2 ? [own("backup", jobs, "gzip:6", options)] : [];
  return JOBS.flatMap((jobs) => [
    own("backup", jobs, "zstd:1", options),
    ...codecs.map((codec) => dump(jobs, codec, options)),
    ...gzip(jobs),
  ]);
}

/** Programs that restore. */
export function restores(options: ContestantOptions): Contestant[] {
  return JOBS.flatMap((jobs) => [
    own("restore", jobs, "zstd:1", options),
    ...(options.hasZstd ? ["gzip:6", "zstd:1"] : ["gzip:6"]).map((codec) => ({
      name: `pg_restore -j${jobs} ${codec}`,
      jobs,
      peers: [],
      program: program("pg_restore", options),
      args: ({ url, folder }: Place) => [`-j${jobs}`, "-d", url, folder],
    })),
  ]);
}

/** The same without rows: what is left of a backup's time is the copying. */
export function schemaOnly(contestant: Contestant): Contestant {
  const more = contestant.name.startsWith("pg_dump") ? ["--schema-only"] : ["--exclude-data=*.*"];
  return { ...contestant, args: (place) => withoutJobs([...contestant.args(place), ...more]) };
}

/** Programs that save definitions and no rows. */
export function schemas(options: ContestantOptions): Contestant[] {
  const dump = "pg_dump -s";
  return [
    {
      ...schemaOnly(own("backup", 2, "zstd:1", options)),
      ...{ name: "backup --jobs 2 --exclude-data=*.*", peers: [dump] },
    },
    {
      ...{ name: dump, jobs: 1, peers: [], program: program("pg_dump", options) },
      args: ({ url, folder }) => ["-s", "-f", join(folder, "schema.sql"), "-d", url],
    },
  ];
}

/** pg_dump refuses nothing here, but a parallel dump of no rows would start workers for nothing. */
function withoutJobs(args: string[]): string[] {
  return args.filter((arg) => !/^-j\d$/.test(arg));
}

function own(
  what: "backup" | "restore",
  jobs: 1 | 2,
  codec: string,
  { key, hasZstd }: ContestantOptions,
): Contestant {
  const peer = what === "backup" ? "pg_dump -Fd" : "pg_restore";
  const codecs = codec === "gzip:6" || !hasZstd ? ["gzip:6"] : ["gzip:6", "zstd:1"];
  return {
    name: `${what} --jobs ${jobs} ${codec}`,
    jobs,
    peers: codecs.map((each) => `${peer} -j${jobs} ${each}`),
    program: Deno.execPath(),
    args: ({ url, folder }) => [
      ...["run", "-A", "--no-check", ...taskFlags(what)],
      join(ROOT, "scripts", `${what}.ts`),
      ...["--database-url", url, "--repository", `file://${folder}`, "--jobs", String(jobs)],
      ...(what === "backup" ? ["--compression", codec] : []),
      "--json",
    ],
    env: { BACKUP_ENCRYPTION_KEY: key },
  };
}

function dump(jobs: 1 | 2, codec: string, options: ContestantOptions): Contestant {
  // Before 16 the level stands alone and means gzip.
  const compress = options.hasZstd ? codec : codec.replace("gzip:", "");
  return {
    name: `pg_dump -Fd -j${jobs} ${codec}`,
    jobs,
    peers: [],
    program: program("pg_dump", options),
    args: ({ url, folder }) => ["-Fd", `-j${jobs}`, `-Z${compress}`, "-f", folder, "-d", url],
  };
}

function program(name: string, { postgresBin }: ContestantOptions): string {
  return postgresBin === null ? name : join(postgresBin, name);
}
