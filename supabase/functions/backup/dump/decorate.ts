/**
 * What every object may have besides its definition: an owner, comments, security labels, rights. One
 * pass over all drafts, so that no family repeats it.
 *
 * @module
 */
import type { EntryStatements } from "../core/model.ts";
import type { Row } from "../postgres/session.ts";
import { quoteIdentifier, quoteLiteral, quoteQualified } from "../postgres/quote.ts";
import { type Draft, Drafts, type DumpContext } from "./context.ts";
import type { Dependencies } from "./dependencies.ts";
import { draftRights } from "./rights.ts";

/** SQL for the address of objects that may stand inside another one's entry. */
function partAddress(catalog: string, oid: string): string {
  return `case ${catalog}
    when 'pg_constraint'::regclass then (
      select case when k.contypid <> 0
                  then format('CONSTRAINT %I ON DOMAIN %s', k.conname, format_type(k.contypid, null))
                  else format('CONSTRAINT %I ON %s', k.conname, k.conrelid::regclass) end
        from pg_constraint k where k.oid = ${oid})
    when 'pg_class'::regclass then (
      select format('INDEX %s', i.oid::regclass)
        from pg_class i where i.oid = ${oid} and i.relkind in ('i', 'I'))
    when 'pg_rewrite'::regclass then (
      select format('RULE %I ON %s', w.rulename, w.ev_class::regclass)
        from pg_rewrite w where w.oid = ${oid})
    end`;
}

const COMMENTS = `
  select c.relname as catalog, d.objoid as oid, d.objsubid as number, a.attname as column,
         ${partAddress("d.classoid", "d.objoid")} as address, d.description as text
    from pg_description d
    join pg_class c on c.oid = d.classoid
    left join pg_attribute a on d.classoid = 'pg_class'::regclass
         and a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid <> 0
   where d.objoid >= 16384 or d.classoid = 'pg_namespace'::regclass
  union all
  select c.relname, d.objoid, 0, null, null, d.description
    from pg_shdescription d join pg_class c on c.oid = d.classoid
   order by 1, 2, 3`;

const LABELS = `
  select c.relname as catalog, l.objoid as oid, l.objsubid as number, a.attname as column,
         l.provider, l.label as text
    from pg_seclabel l
    join pg_class c on c.oid = l.classoid
    left join pg_attribute a on l.classoid = 'pg_class'::regclass
         and a.attrelid = l.objoid and a.attnum = l.objsubid and l.objsubid <> 0
  union all
  select c.relname, l.objoid, 0, null, l.provider, l.label
    from pg_shseclabel l join pg_class c on c.oid = l.classoid
   order by 1, 2, 3, 5`;

/** Statements of each draft, by its key. */
export type Decorations = Map<string, EntryStatements>;

/** Reads comments and labels and writes the statements of every draft around its definition. */
export async function decorate(
  context: DumpContext,
  dependencies: Dependencies,
): Promise<Decorations> {
  const decorations: Decorations = new Map();
  for (const draft of context.drafts.all()) {
    decorations.set(keyOf(draft), {
      create: draft.extra?.create ?? [],
      drop: draft.extra?.drop ?? [],
      owner: [...(draft.extra?.owner ?? []), ...ownerStatements(draft)],
      comment: [...(draft.extra?.comment ?? [])],
      label: [...(draft.extra?.label ?? [])],
      acl: [...(draft.extra?.acl ?? []), ...draftRights(draft)],
    });
  }
  const find = (row: Row) => {
    const key = dependencies.draftOf(Drafts.key(row.catalog, row.oid));
    const draft = key === undefined ? undefined : context.drafts.byKey(key);
    if (draft === undefined || draft.extension !== undefined || !draft.commentable) return null;
    return {
      draft,
      isItself: key === Drafts.key(row.catalog, row.oid),
      statements: decorations.get(key!)!,
    };
  };
  for (const row of await context.session.query(COMMENTS)) {
    const found = find(row);
    const subject = found === null ? null : addressOf(found, row.column, row.address);
    if (subject === null) continue;
    found!.statements.comment.push(`COMMENT ON ${subject} IS ${quoteLiteral(row.text)}`);
  }
  removePublicComment(context, decorations);
  for (const row of await context.session.query(LABELS)) {
    const found = find(row);
    const subject = found === null ? null : addressOf(found, row.column, null);
    if (subject === null) continue;
    const provider = quoteIdentifier(row.provider);
    found!.statements.label.push(
      `SECURITY LABEL FOR ${provider} ON ${subject} IS ${quoteLiteral(row.text)}`,
    );
  }
  return decorations;
}

/** A new database has a comment on schema public: where the source has none, it is taken away. */
function removePublicComment(context: DumpContext, decorations: Decorations): void {
  for (const draft of context.drafts.all()) {
    if (draft.catalog !== "pg_namespace" || draft.name !== "public" || !draft.commentable) continue;
    const comment = decorations.get(keyOf(draft))!.comment;
    if (comment.length === 0) comment.push(`COMMENT ON ${draft.address} IS NULL`);
  }
}

function ownerStatements(draft: Draft): string[] {
  if (draft.owner === null || draft.extension !== undefined || draft.extra?.owner) return [];
  return [
    `ALTER ${draft.ownerAddress ?? draft.address} OWNER TO ${quoteIdentifier(draft.owner)}`,
  ];
}

/** What COMMENT ON names: the object, one of its columns, or a part that has no entry of its own. */
function addressOf(
  found: { draft: Draft; isItself: boolean },
  column: string | null,
  partAddress: string | null,
): string | null {
  const { draft, isItself } = found;
  if (column !== null) {
    return `COLUMN ${quoteQualified(draft.schema!, draft.name)}.${quoteIdentifier(column)}`;
  }
  return isItself ? draft.address : partAddress;
}

function keyOf(draft: Draft): string {
  return Drafts.key(draft.catalog, draft.oid, draft.part);
}
