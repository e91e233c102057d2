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
import { sideBySide } from "./side_by_side.ts";

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

// Of the objects `$1`, or of all.
const COMMENTS = `
  select c.relname as catalog, d.objoid as oid, d.objsubid as number, a.attname as column,
         ${partAddress("d.classoid", "d.objoid")} as address, d.description as text
    from pg_description d
    join pg_class c on c.oid = d.classoid
    left join pg_attribute a on d.classoid = 'pg_class'::regclass
         and a.attrelid = d.objoid and a.attnum = d.objsubid and d.objsubid <> 0
   where (d.objoid >= 16384 or d.classoid = 'pg_namespace'::regclass)
     and ($1::oid[] is null or d.objoid = any ($1::oid[]))
  union all
  select c.relname, d.objoid, 0, null, null, d.description
    from pg_shdescription d join pg_class c on c.oid = d.classoid
   where $1::oid[] is null or d.objoid = any ($1::oid[])
   order by 1, 2, 3`;

// Of the objects `$1`, or of all.
const LABELS = `
  select c.relname as catalog, l.objoid as oid, l.objsubid as number, a.attname as column,
         l.provider, l.label as text
    from pg_seclabel l
    join pg_class c on c.oid = l.classoid
    left join pg_attribute a on l.classoid = 'pg_class'::regclass
         and a.attrelid = l.objoid and a.attnum = l.objsubid and l.objsubid <> 0
   where $1::oid[] is null or l.objoid = any ($1::oid[])
  union all
  select c.relname, l.objoid, 0, null, l.provider, l.label
    from pg_shseclabel l join pg_class c on c.oid = l.classoid
   where $1::oid[] is null or l.objoid = any ($1::oid[])
   order by 1, 2, 3, 5`;

/** Comments and security labels as statements, by the key of the draft they are about. */
export interface Decorations {
  comments: Map<string, string[]>;
  labels: Map<string, string[]>;
}

/** Most entries have nothing to say of most things: they share one empty list, frozen against additions. */
const NOTHING = Object.freeze([]) as unknown as string[];

/** Reads the comments and labels of all drafts. */
export async function decorate(
  context: DumpContext,
  dependencies: Dependencies,
): Promise<Decorations> {
  const comments = new Map<string, string[]>();
  const labels = new Map<string, string[]>();
  const { numbers } = context.drafts;
  const find = (row: Row) => {
    const object = numbers.find(row.catalog, row.oid);
    const holder = object === undefined ? undefined : dependencies.draftOf(object);
    const draft = context.drafts.at(holder);
    if (draft === undefined || draft.extension !== undefined || !draft.commentable) return null;
    return { key: numbers.keyOf(holder!), draft, isItself: holder === object };
  };
  // Of a slice the rest would be asked for in vain; of everything the list would only be long.
  const objects = context.slice === null ? null : `{${[...dependencies.oids()].join(",")}}`;
  const [commentRows, labelRows] = await sideBySide([
    context.session.query(COMMENTS, [objects]),
    context.session.query(LABELS, [objects]),
  ]);
  for (const row of commentRows) {
    const found = find(row);
    const subject = found === null ? null : addressOf(found, row.column, row.address);
    if (subject === null) continue;
    append(comments, found!.key, [`COMMENT ON ${subject} IS ${quoteLiteral(row.text)}`]);
  }
  removePublicComment(context, comments);
  for (const row of labelRows) {
    const found = find(row);
    const subject = found === null ? null : addressOf(found, row.column, null);
    if (subject === null) continue;
    const label = `FOR ${quoteIdentifier(row.provider)} ON ${subject} IS ${quoteLiteral(row.text)}`;
    append(labels, found!.key, [`SECURITY LABEL ${label}`]);
  }
  return { comments, labels };
}

/** Gives comments and labels of what stands inside another object's definition to that object. */
export function moveToHosts(
  context: DumpContext,
  { comments, labels }: Decorations,
  placed: ReadonlySet<number>,
): void {
  if (comments.size + labels.size === 0) return;
  for (const [number, { inlineIn }] of context.drafts.numbered()) {
    if (inlineIn === undefined || placed.has(number)) continue;
    const key = context.drafts.numbers.keyOf(number);
    append(comments, inlineIn, comments.get(key));
    append(labels, inlineIn, labels.get(key));
  }
}

/** All statements of a draft: its own, and those around its definition. */
export function statementsOf(
  key: string,
  draft: Draft,
  { comments, labels }: Decorations,
): EntryStatements {
  const { extra } = draft;
  return {
    create: join(draft.create, extra?.create),
    drop: join(draft.drop, extra?.drop),
    owner: join(extra?.owner, ownerStatements(draft)),
    comment: join(extra?.comment, comments.get(key)),
    label: join(extra?.label, labels.get(key)),
    acl: join(extra?.acl, draftRights(draft)),
  };
}

function join(first: string[] = NOTHING, second: string[] = NOTHING): string[] {
  if (second.length === 0) return first;
  return first.length === 0 ? second : [...first, ...second];
}

function append(lists: Map<string, string[]>, key: string, more: string[] = NOTHING): void {
  if (more.length > 0) lists.set(key, join(lists.get(key), more));
}

/** A new database has a comment on schema public: where the source has none, it is taken away. */
function removePublicComment(context: DumpContext, comments: Map<string, string[]>): void {
  for (const draft of context.drafts.all()) {
    if (draft.catalog !== "pg_namespace" || draft.name !== "public" || !draft.commentable) continue;
    const key = Drafts.key(draft.catalog, draft.oid);
    if (!comments.has(key)) comments.set(key, [`COMMENT ON ${draft.address} IS NULL`]);
  }
}

function ownerStatements(draft: Draft): string[] {
  if (draft.owner === null || draft.extension !== undefined || draft.extra?.owner) {
    return NOTHING;
  }
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
