/**
 * What the families of types and functions share: which objects are theirs, and the usual draft.
 *
 * @module
 */
import { BackupError } from "../../core/errors.ts";
import type { EntryKind } from "../../core/model.ts";
import type { Row } from "../../postgres/session.ts";
import type { Draft, DraftRights, DumpContext } from "../context.ts";
import { roleNameSql } from "./catalog_names.ts";

/** Oids below this were given by initdb. */
export const FIRST_USER_OID = 16384;

/**
 * SQL condition: an object of a user's schema that no extension owns.
 *
 * @param oid the object's oid column
 * @param schema the name column of its schema
 */
export function isUsersSql(catalog: string, { oid, schema }: Record<"oid" | "schema", string>) {
  return `${schema} not in ('pg_catalog', 'information_schema') and ${isNoMemberSql(catalog, oid)}`;
}

/** SQL condition: an object that no extension owns. */
export function isNoMemberSql(catalog: string, oid: string): string {
  return `not exists (select from pg_depend e
            where e.classid = '${catalog}'::regclass and e.objid = ${oid} and e.deptype = 'e')`;
}

/** Whether definitions of a schema are taken. */
export function isTaken(context: DumpContext, schemaOid: number): boolean {
  return context.schemas.get(schemaOid)?.take === "all";
}

/** Whether the backup is of the whole database, so that objects outside schemas (casts, …) belong to it. */
export function takesWholeDatabase(context: DumpContext): boolean {
  return context.options.includeSchemas.length === 0 && context.options.includeTables.length === 0;
}

/** Catalogs whose definitions hold what `pg_get_*` or `format_type` wrote. */
const READ_BY_FUNCTION = new Set([
  "pg_type",
  "pg_proc",
  "pg_operator",
  "pg_opclass",
  "pg_opfamily",
  "pg_cast",
  "pg_transform",
]);

/** What a family says of an object it defines. */
export interface Definition {
  catalog: string;
  oid: number;
  kind: EntryKind;
  schema: string | null;
  name: string;
  address: string;
  owner: string | null;
  create: string[];
  /** @default `DROP <address>` */
  drop?: string[];
  rights?: DraftRights;
  dependsOn?: string[];
  /** What `pg_get_*` wrote was proved to be of the snapshot. @default it was not */
  isOfSnapshot?: boolean;
}

/** Adds the draft of an object before the data, and has the recheck look at it again where needed. */
export function define(context: DumpContext, definition: Definition): Draft {
  const { rights, isOfSnapshot = false, ...own } = definition;
  const draft: Draft = {
    part: null,
    section: "pre-data",
    drop: [`DROP ${definition.address}`],
    dependsOn: [],
    commentable: true,
    ...own,
    ...(rights === undefined ? {} : { rights }),
  };
  context.drafts.add(draft);
  if (READ_BY_FUNCTION.has(draft.catalog)) {
    context.readByFunction.push({ catalog: draft.catalog, oid: draft.oid, isOfSnapshot });
  }
  return draft;
}

/** The columns that {@linkcode rightsOf} reads. */
export function rightsColumnsSql(
  catalog: string,
  columns: { oid: string; acl: string; owner: string; type: string },
): string {
  return `${columns.acl} as acl, acldefault('${columns.type}', ${columns.owner}) as acl_default,
         ${initialRightsSql(catalog, columns.oid)} as initial, ${
    roleNameSql(columns.owner)
  } as owner`;
}

/** Rights of an object at the end of initdb or CREATE EXTENSION. */
export function initialRightsSql(catalog: string, oid: string): string {
  return `(select i.initprivs from pg_init_privs i
            where i.classoid = '${catalog}'::regclass and i.objoid = ${oid} and i.objsubid = 0)`;
}

/** The rights of a row read with {@linkcode rightsColumnsSql}. */
export function rightsOf(row: Row, on: { type: string; name: string }): DraftRights {
  return {
    grantType: on.type,
    grantName: on.name,
    acl: row.acl,
    aclDefault: row.acl_default,
    initial: row.initial,
  };
}

/**
 * Adds a draft that carries rights alone: of a built-in object or of an extension's member.
 *
 * @param on GRANT's keyword and the object's name
 */
export function defineRights(
  context: DumpContext,
  object: {
    catalog: string;
    oid: number;
    schemaOid: number;
    schema: string;
    name: string;
    row: Row;
  },
  on: { type: string; name: string },
): void {
  const { catalog, oid } = object;
  if ((context.schemas.get(object.schemaOid)?.take ?? "none") === "none") return;
  const extension = context.extensionMembers.get(`${catalog}:${oid}`);
  context.drafts.add({
    catalog,
    oid,
    part: null,
    kind: "acl",
    section: "pre-data",
    schema: object.schema,
    name: object.name,
    create: [],
    drop: [],
    address: `${on.type} ${on.name}`,
    owner: null,
    rights: rightsOf(object.row, on),
    commentable: false,
    dependsOn: [],
    ...(extension === undefined ? {} : { extension }),
  });
}

/**
 * A text that a catalog function must have given.
 *
 * @throws {BackupError} `concurrent_ddl` when it is NULL: the object is gone since the snapshot
 */
export function given(text: string | null, address: string): string {
  if (text !== null) return text;
  throw new BackupError("concurrent_ddl", `Cannot read ${address}: it was dropped meanwhile`, {
    hint: "The reading begins again by itself; keep migrations out of the time of the backup.",
  });
}
