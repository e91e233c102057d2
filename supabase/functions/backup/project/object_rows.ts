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

/** Objects asked for at once. */
const BATCH = 1000;

/** Reads the tables of Storage. */
export class ObjectRows {
  readonly #session: Session;

  private constructor(session: Session) {
    this.#session = session;
  }

  /** Null when the database has no tables of Storage, or this role may not read them. */
  static async open(session: Session): Promise<ObjectRows | null> {
    const [row] = await session.query<{ readable: boolean }>(`
      SELECT pg_catalog.count(*) = 2 AS readable
        FROM pg_catalog.pg_class c
       WHERE c.relnamespace = pg_catalog.to_regnamespace('storage')
         AND c.relname IN ('buckets', 'objects')
         AND pg_catalog.has_schema_privilege(c.relnamespace, 'USAGE')
         AND pg_catalog.has_table_privilege(c.oid, 'SELECT')`);
    return row?.readable === true ? new ObjectRows(session) : null;
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
   * The next objects of a bucket behind a name, by the index that Storage has for it, and the name that
   * they end at; null when there are no more.
   */
  async objects(
    bucket: string,
    { after, limit }: { after: string | null; limit: number },
  ): Promise<{ objects: ObjectRow[]; last: string | null }> {
    const rows = await this.#session.query<{ row: Record<string, Json> }>(
      `SELECT pg_catalog.to_jsonb(o) - 'path_tokens' AS row FROM storage.objects o
        WHERE o.bucket_id = $1 AND ($2::text IS NULL OR o.name COLLATE "C" > $2)
        ORDER BY o.name COLLATE "C" LIMIT $3`,
      [bucket, after, limit],
    );
    return {
      objects: rows.map(({ row }) => readRow(row)).filter((row) => row !== null),
      last: rows.length < limit ? null : String(rows.at(-1)?.row.name),
    };
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
