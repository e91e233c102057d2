/**
 * Publications, their tables with filters and column lists, and their schemas.
 *
 * @module
 */
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { given, isTaken, takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const TABLES = `
  select m.oid, m.prpubid, p.pubname, m.prrelid, n.nspname, c.relname, c.relnamespace,
         m.prqual is not null as has_filter, pg_get_expr(m.prqual, m.prrelid) as filter,
         (select string_agg(quote_ident(a.attname), ', ' order by k.place)
            from unnest(m.prattrs::int2[]) with ordinality as k(number, place)
            join pg_attribute a on a.attrelid = m.prrelid and a.attnum = k.number) as columns
    from pg_publication_rel m
    join pg_publication p on p.oid = m.prpubid
    join pg_class c on c.oid = m.prrelid
    join pg_namespace n on n.oid = c.relnamespace
   order by p.pubname, n.nspname, c.relname`;

const SCHEMAS = `
  select s.oid, s.pnpubid, p.pubname, s.pnnspid, n.nspname
    from pg_publication_namespace s
    join pg_publication p on p.oid = s.pnpubid
    join pg_namespace n on n.oid = s.pnnspid
   order by p.pubname, n.nspname`;

/** The family of pg_publication, pg_publication_rel and pg_publication_namespace. */
export const publicationsFamily: CatalogFamily = {
  name: "publications",
  catalogs: ["pg_publication", "pg_publication_rel", "pg_publication_namespace"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    await addPublications(context);
    await addTables(context);
    await addSchemas(context);
  },
};

async function addPublications(context: DumpContext): Promise<void> {
  const generated = context.version >= 180000 ? "p.pubgencols::text" : "'n'";
  const rows = await context.session.query(`
    select p.oid, p.pubname, r.rolname as owner, p.puballtables, p.pubinsert, p.pubupdate,
           p.pubdelete, p.pubtruncate, p.pubviaroot, ${generated} as generated
      from pg_publication p left join pg_roles r on r.oid = p.pubowner
     order by p.pubname`);
  for (const row of rows) {
    if (context.extensionMembers.has(`pg_publication:${row.oid}`)) continue;
    const name = quoteIdentifier(row.pubname);
    const published = ["insert", "update", "delete", "truncate"].filter((word) =>
      row[`pub${word}`]
    );
    const options = [`publish = '${published.join(", ")}'`];
    if (row.pubviaroot) options.push("publish_via_partition_root = true");
    if (row.generated === "s") options.push("publish_generated_columns = stored");
    context.drafts.add(newDraft({
      catalog: "pg_publication",
      oid: row.oid,
      kind: "publication",
      section: "post-data",
      name: row.pubname,
      address: `PUBLICATION ${name}`,
      create: [
        `CREATE PUBLICATION ${name}${row.puballtables ? " FOR ALL TABLES" : ""} ` +
        `WITH (${options.join(", ")})`,
      ],
      owner: row.owner,
    }));
  }
}

async function addTables(context: DumpContext): Promise<void> {
  for (const row of await context.session.query(TABLES)) {
    if (!isTaken(context, row.relnamespace)) continue;
    if (context.drafts.get("pg_publication", row.prpubid) === undefined) continue;
    const publication = quoteIdentifier(row.pubname);
    const table = quoteQualified(row.nspname, row.relname);
    const address = `${publication} TABLE ${table}`;
    const filter = row.has_filter ? ` WHERE (${given(row.filter, address)})` : "";
    context.drafts.add(newDraft({
      catalog: "pg_publication_rel",
      oid: row.oid,
      kind: "publication-table",
      section: "post-data",
      schema: row.nspname,
      name: `${row.pubname} ${row.relname}`,
      address,
      create: [
        `ALTER PUBLICATION ${publication} ADD TABLE ONLY ${table}` +
        (row.columns === null ? "" : ` (${row.columns})`) + filter,
      ],
      drop: [`ALTER PUBLICATION ${publication} DROP TABLE ONLY ${table}`],
      commentable: false,
      dependsOn: [
        Drafts.key("pg_publication", row.prpubid),
        Drafts.key("pg_class", row.prrelid),
      ],
    }));
    if (row.has_filter) {
      context.readByFunction.push({ catalog: "pg_publication_rel", oid: row.oid });
    }
  }
}

async function addSchemas(context: DumpContext): Promise<void> {
  for (const row of await context.session.query(SCHEMAS)) {
    if (!isTaken(context, row.pnnspid)) continue;
    const publication = quoteIdentifier(row.pubname);
    const schema = quoteIdentifier(row.nspname);
    context.drafts.add(newDraft({
      catalog: "pg_publication_namespace",
      oid: row.oid,
      kind: "publication-schema",
      section: "post-data",
      schema: row.nspname,
      name: `${row.pubname} ${row.nspname}`,
      address: `${publication} SCHEMA ${schema}`,
      create: [`ALTER PUBLICATION ${publication} ADD TABLES IN SCHEMA ${schema}`],
      drop: [`ALTER PUBLICATION ${publication} DROP TABLES IN SCHEMA ${schema}`],
      commentable: false,
      dependsOn: [
        Drafts.key("pg_publication", row.pnpubid),
        Drafts.key("pg_namespace", row.pnnspid),
      ],
    }));
  }
}
