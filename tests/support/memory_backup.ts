/**
 * A backup that is held in memory, for tests of the restore that need no repository.
 *
 * @module
 */
import type { DataPart, Entry } from "../../supabase/functions/backup/core/model.ts";
import { describeTableData } from "../../supabase/functions/backup/dump/data/table_data.ts";
import { type DumpOptions, readDatabase } from "../../supabase/functions/backup/dump/mod.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { pinSettings } from "../../supabase/functions/backup/postgres/pinned_settings.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import type { Row, Session } from "../../supabase/functions/backup/postgres/session.ts";
import type {
  BackupType,
  LinesRef,
  OpenedBackup,
  Repository,
} from "../../supabase/functions/backup/repository/mod.ts";
import type { BackupFacts } from "../../supabase/functions/backup/restore/mod.ts";

/** Settings that save everything. */
export const DUMP_OPTIONS: DumpOptions = {
  profile: "plain",
  includeSchemas: [],
  excludeSchemas: [],
  includeTables: [],
  excludeTables: [],
  excludeTableData: [],
  copyFormat: "auto",
};

/** A backup and a way to read its rows. */
export interface MemoryBackup {
  facts: BackupFacts;
  /** What the backup has to say. */
  remarks: string[];
  readPieces(pieces: readonly { chunk: string }[]): AsyncIterable<Uint8Array>;
}

/** Opens a session with the settings of dump and restore. */
export async function openPinned(url: string): Promise<Session> {
  const session = await connect({ url });
  await pinSettings(session);
  return session;
}

/** Reads a database, one part a table. */
export async function backupInMemory(
  url: string,
  options: Partial<DumpOptions> = {},
): Promise<MemoryBackup> {
  const session = await openPinned(url);
  try {
    await session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const dump = { ...DUMP_OPTIONS, ...options };
    const model = await readDatabase(session, dump);
    const tableData = await describeTableData(session, model.entries, dump);
    const chunks = new Map<string, Uint8Array[]>();
    const dataParts: DataPart[] = [];
    for (const data of tableData) {
      const entry = model.entries.find((each) => each.key === data.entry)!;
      const slices: Uint8Array[] = [];
      const { rows, bytes } = await session.copyOut(
        copyOut(entry, data.columns, data.format),
        (slice) => void slices.push(slice.slice()),
      );
      chunks.set(data.entry, slices);
      dataParts.push({
        entry: data.entry,
        part: 0,
        pages: null,
        format: data.format,
        encoding: data.encoding,
        rows,
        rawBytes: bytes,
        pieces: [{ chunk: data.entry, offset: 0, length: bytes }],
        fingerprint: await fingerprint(session, entry, data.fingerprintExpression),
      });
    }
    return {
      facts: {
        backupId: "memory",
        source: model.source,
        entries: model.entries,
        tableData,
        dataParts,
      },
      remarks: model.remarks,
      async *readPieces(pieces) {
        for (const piece of pieces) yield* chunks.get(piece.chunk) ?? [];
      },
    };
  } finally {
    await session.close();
  }
}

function copyOut(entry: Entry, columns: readonly string[], format: string): string {
  if (entry.kind === "large-object-data") {
    return "COPY (SELECT loid, pageno, data FROM pg_catalog.pg_largeobject) TO STDOUT (FORMAT binary)";
  }
  const { sqlName, condition } = entry.table!;
  return `COPY (SELECT ${columns.join(", ")} FROM ONLY ${sqlName} ${
    condition ?? ""
  }) TO STDOUT (FORMAT ${format})`;
}

async function fingerprint(session: Session, entry: Entry, expression: string | null) {
  if (expression === null || entry.table === undefined) return null;
  const [row] = await session.query(
    `SELECT count(*)::text AS rows, coalesce(sum((${expression})::numeric), 0)::text AS sum ` +
      `FROM ONLY ${entry.table.sqlName} t ${entry.table.condition ?? ""}`,
  );
  return { rows: row!.rows as string, sum: row!.sum as string };
}

/** Lines of a list in memory to a chunk. */
const LINES_A_CHUNK = 7;

/**
 * The backup as the part of a repository that a restore reads.
 *
 * @param onRead told of lists, and where in them it is read
 */
export function asRepository(
  backup: MemoryBackup,
  onRead: (list: string, from: number) => void = () => {},
): Repository {
  const { facts } = backup;
  const lists = { entries: facts.entries, tableData: facts.tableData, dataParts: facts.dataParts };
  const refOf = (name: keyof typeof lists): LinesRef => {
    const { length } = lists[name];
    const chunks = Array.from({ length: Math.ceil(length / LINES_A_CHUNK) }, (_, at) => ({
      ...{ name: `${name}/${at * LINES_A_CHUNK}`, rawBytes: 1 },
      lines: Math.min(LINES_A_CHUNK, length - at * LINES_A_CHUNK),
    }));
    return { lines: length, chunks };
  };
  const manifest = {
    ...{ backupId: facts.backupId, source: facts.source },
    ...{ entries: refOf("entries"), tableData: refOf("tableData"), dataParts: refOf("dataParts") },
  };
  const part: Partial<Repository> = {
    readBackup:
      (<T extends BackupType>() => Promise.resolve({ manifest } as unknown as OpenedBackup<T>)),
    readLines: async function* <T>({ chunks }: LinesRef) {
      for (const chunk of chunks) {
        const [list, from] = chunk.name.split("/") as [keyof typeof lists, string];
        onRead(list, Number(from));
        yield* lists[list].slice(Number(from), Number(from) + chunk.lines) as T[];
      }
    },
    readPieces: (pieces) => backup.readPieces(pieces),
  };
  return part as Repository;
}

/** A database that is dropped when the test ends. */
export async function scratchDatabase(
  server: { url(database?: string): string },
  name: string,
  options = "",
): Promise<
  { url: string; run(sql: string): Promise<Row[]>; [Symbol.asyncDispose](): Promise<void> }
> {
  const admin = async (sql: string) => {
    const session = await connect({ url: server.url() });
    try {
      await session.execute(sql);
    } finally {
      await session.close();
    }
  };
  await admin(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`);
  await admin(`CREATE DATABASE ${quoteIdentifier(name)} ${options}`);
  const url = server.url(name);
  return {
    url,
    async run(sql) {
      const session = await connect({ url });
      try {
        if (/^\s*select/i.test(sql)) return await session.query(sql);
        await session.execute(sql);
        return [];
      } finally {
        await session.close();
      }
    },
    [Symbol.asyncDispose]: () =>
      admin(`DROP DATABASE IF EXISTS ${quoteIdentifier(name)} WITH (FORCE)`),
  };
}
