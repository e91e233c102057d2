/**
 * The rows that Supabase Storage keeps of buckets and objects in the project's database. They are read
 * by SQL, which is far quicker than the API and tells more; they are written by the API only.
 *
 * Rows are read as JSON: their columns differ between releases of Storage.
 *
 * @module
 */
import type { Json } from "../core/part.ts";
import type { Session } from "../postgres/session.ts";
import type { ObjectAddress, ObjectInfo } from "./object_types.ts";
import { readMetadata, readUserMetadata } from "./storage_api.ts";

/** A row of an object. */
export interface ObjectRow extends ObjectInfo {
  /** Who uploaded it, as far as known. */
  owner: string | null;
}

/** A bucket as its row tells of it, with columns that the API neither shows nor writes. */
export type BucketRow = { id: string; [column: string]: Json };

/** Buckets of other kinds than objects, which have tables of their own. */
export interface OtherBuckets {
  kind: "analytics" | "vectors";
  count: number;
}

/** An object with the hash of its row. */
export interface MarkedRow extends ObjectRow {
  /** 64 bits in hexadecimal: a hash of everything of the row that a backup keeps. */
  mark: string;
}

/** A run of names: behind `after`, up to and with `upTo`; null for no bound. */
export interface NameRange {
  after: string | null;
  upTo: string | null;
}

/** Objects asked for at once. */
const BATCH = 1000;

/** Columns that a backup keeps something of, in all releases of Storage. */
const KEPT = "name version metadata user_metadata owner_id owner created_at updated_at".split(" ");

/** Columns that say of a row that it stands for no object of today. */
const GONE = { is_delete_marker: "o.is_delete_marker", archived_at: "o.archived_at IS NOT NULL" };

/** Objects of bucket $1 behind name $2, up to $3. */
const WITHIN = `o.bucket_id = $1 AND ($2::text IS NULL OR o.name COLLATE "C" > $2)
  AND ($3::text IS NULL OR o.name COLLATE "C" <= $3)`;

/** Reads the tables of Storage. */
export class ObjectRows {
  readonly #session: Session;
  /** Hash of a row, and which rows stand for an object, as SQL over the columns that there are. */
  readonly #mark: string;
  readonly #isObject: string;

  private constructor(session: Session, columns: readonly string[]) {
    this.#session = session;
    const kept = KEPT.filter((name) => columns.includes(name)).map((name) => `o.${name}`);
    this.#mark = `pg_catalog.sha256(pg_catalog.convert_to(ROW(${kept.join(", ")})::text, 'UTF8'))`;
    const gone = Object.entries(GONE).filter(([name]) => columns.includes(name));
    this.#isObject = ["true", ...gone.map(([, isGone]) => `(${isGone}) IS NOT TRUE`)].join(" AND ");
  }

  /** Null when the database has no tables of Storage, or this role may not read them. */
  static async open(session: Session): Promise<ObjectRows | null> {
    const [row] = await session.query<{ readable: boolean; columns: string[] }>(`
      SELECT pg_catalog.count(*) = 2 AS readable,
             ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                    WHERE a.attrelid = pg_catalog.to_regclass('storage.objects')
                      AND a.attnum > 0 AND NOT a.attisdropped) AS columns
        FROM pg_catalog.pg_class c
       WHERE c.relnamespace = pg_catalog.to_regnamespace('storage')
         AND c.relname IN ('buckets', 'objects')
         AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
         AND pg_catalog.has_table_privilege(c.oid, 'SELECT')`);
    return row?.readable === true ? new ObjectRows(session, row.columns) : null;
  }

  /** All buckets. */
  async buckets(): Promise<BucketRow[]> {
    const rows = await this.#session.query<{ row: BucketRow }>(
      `SELECT pg_catalog.to_jsonb(b) AS row FROM storage.buckets b ORDER BY b.id COLLATE "C"`,
    );
    return rows.map(({ row }) => row);
  }

  /** Buckets that hold no objects and are not saved. */
  async otherBuckets(): Promise<OtherBuckets[]> {
    const found: OtherBuckets[] = [];
    for (const kind of ["analytics", "vectors"] as const) {
      const [table] = await this.#session.query<{ readable: boolean }>(
        `SELECT coalesce(pg_catalog.has_table_privilege(
           pg_catalog.to_regclass('storage.buckets_${kind}'), 'SELECT'), false) AS readable`,
      );
      if (table?.readable !== true) continue;
      const [row] = await this.#session.query<{ count: string }>(
        `SELECT pg_catalog.count(*) AS count FROM storage.buckets_${kind}`,
      );
      if (Number(row?.count) > 0) found.push({ kind, count: Number(row?.count) });
    }
    return found;
  }

  /**
   * The first objects of a run of names, by the index that Storage has for it, and the name that they end
   * at; null when there are no more.
   */
  async objects(
    bucket: string,
    { after, upTo, limit }: NameRange & { limit: number },
  ): Promise<{ objects: MarkedRow[]; last: string | null }> {
    const rows = await this.#session.query<{ row: Record<string, Json>; mark: string }>(
      `SELECT pg_catalog.to_jsonb(o) - 'path_tokens' AS row,
              pg_catalog.encode(${this.#mark}, 'hex') AS mark
         FROM storage.objects o
        WHERE ${WITHIN} AND ${this.#isObject}
        ORDER BY o.name COLLATE "C" LIMIT $4`,
      [bucket, after, upTo, limit],
    );
    const objects: MarkedRow[] = [];
    for (const { row, mark } of rows) {
      const object = readRow(row);
      if (object !== null) objects.push({ ...object, mark });
    }
    return { objects, last: rows.length < limit ? null : String(rows.at(-1)?.row.name) };
  }

  /**
   * Digests of the objects between names: of those up to the first border, of those behind it up to the
   * second, and so on to those behind the last one; null where there are none. One reading, however many.
   *
   * `OFFSET 0` keeps the hash and the place of a row from being made several times over.
   *
   * @returns SHA-256 in hexadecimal over the rows' hashes, in order of name
   */
  async digests(
    bucket: string,
    { borders, after, upTo }: NameRange & { borders: readonly string[] },
  ): Promise<(string | null)[]> {
    const rows = await this.#session.query<{ at: number; digest: string }>(
      `WITH given AS MATERIALIZED (SELECT ARRAY(SELECT b.name
                FROM pg_catalog.jsonb_array_elements_text($4::jsonb) WITH ORDINALITY AS b(name, at)
               ORDER BY b.at) AS borders)
       SELECT f.at - CASE WHEN f.at > 0 AND f.borders[f.at] = f.name THEN 1 ELSE 0 END AS at,
              pg_catalog.encode(pg_catalog.sha256(
                pg_catalog.string_agg(f.mark, ''::bytea ORDER BY f.name COLLATE "C")), 'hex') AS digest
         FROM (SELECT o.name, ${this.#mark} AS mark, borders,
                      pg_catalog.width_bucket(o.name COLLATE "C", borders) AS at
                 FROM given, storage.objects o WHERE ${WITHIN} AND ${this.#isObject} OFFSET 0) f
        GROUP BY 1`,
      [bucket, after, upTo, JSON.stringify(borders)],
    );
    const digests: (string | null)[] = Array.from({ length: borders.length + 1 }, () => null);
    for (const { at, digest } of rows) digests[at] = digest;
    return digests;
  }

  /** One object, null when there is none. */
  async find({ bucket, name }: ObjectAddress): Promise<ObjectRow | null> {
    const [found] = await this.#session.query<{ row: Record<string, Json> }>(
      `SELECT pg_catalog.to_jsonb(o) - 'path_tokens' AS row FROM storage.objects o
        WHERE o.bucket_id = $1 AND o.name = $2`,
      [bucket, name],
    );
    return found === undefined ? null : readRow(found.row);
  }

  /** Those of these objects that there are. */
  async findAll(addresses: readonly ObjectAddress[]): Promise<(ObjectRow & ObjectAddress)[]> {
    const found: (ObjectRow & ObjectAddress)[] = [];
    for (let at = 0; at < addresses.length; at += BATCH) {
      const rows = await this.#session.query<{ row: Record<string, Json> }>(
        `SELECT pg_catalog.to_jsonb(o) - 'path_tokens' AS row
           FROM pg_catalog.jsonb_to_recordset($1::jsonb) AS s(bucket text, name text)
           JOIN storage.objects o ON o.bucket_id = s.bucket AND o.name = s.name`,
        [JSON.stringify(addresses.slice(at, at + BATCH))],
      );
      for (const { row } of rows) {
        const object = readRow(row);
        if (object !== null) found.push({ ...object, bucket: String(row.bucket_id) });
      }
    }
    return found;
  }

  /** Those of these stored versions that no row knows. */
  async unknown(stored: readonly StoredVersion[]): Promise<StoredVersion[]> {
    const rows = await this.#session.query<{ at: string }>(
      `SELECT s.at FROM pg_catalog.jsonb_array_elements($1::jsonb) WITH ORDINALITY AS s(one, at)
        WHERE NOT EXISTS (SELECT FROM storage.objects o
                WHERE o.bucket_id = s.one->>'bucket' AND o.name = s.one->>'name'
                  AND o.version IS NOT DISTINCT FROM s.one->>'version')`,
      [JSON.stringify(stored)],
    );
    return rows.flatMap(({ at }) => stored[Number(at) - 1] ?? []);
  }
}

/** An object as the store behind Storage keeps it. */
export interface StoredVersion extends ObjectAddress {
  version: string;
}

/** Null for rows of versioned buckets that stand for no object of today. */
function readRow(row: Record<string, Json>): ObjectRow | null {
  if (row.is_delete_marker === true || (row.archived_at ?? null) !== null) return null;
  return {
    name: String(row.name),
    version: row.version as string | null,
    ...readMetadata((row.metadata ?? {}) as Record<string, Json>),
    userMetadata: readUserMetadata(row.user_metadata),
    createdAt: row.created_at as string | null,
    updatedAt: row.updated_at as string | null,
    owner: (row.owner_id ?? row.owner ?? null) as string | null,
  };
}
