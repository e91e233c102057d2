/**
 * The database itself: owner, limit, comment, rights, settings. No statement names it, so that it can
 * be restored under any name; encoding and locale are the target's, and recorded as facts.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { rightsStatements } from "../rights.ts";
import { newDraft } from "./new_draft.ts";
import { forThisDatabase, setClause } from "./setting_statements.ts";

const DATABASE = `
  select d.oid, r.rolname as owner, d.datconnlimit, d.datistemplate, d.datacl as acl,
         acldefault('d', d.datdba) as acl_default,
         shobj_description(d.oid, 'pg_database') as comment,
         (select s.setconfig from pg_db_role_setting s
           where s.setdatabase = d.oid and s.setrole = 0) as settings
    from pg_database d
    left join pg_roles r on r.oid = d.datdba
   where d.datname = current_database()`;

const LABELS = `
  select l.provider, l.label from pg_shseclabel l
   where l.classoid = 'pg_database'::regclass and l.objoid = $1 order by l.provider`;

const PARAMETERS = `
  select p.oid, p.parname, p.paracl as acl, acldefault('p', 10) as acl_default
    from pg_parameter_acl p order by p.parname`;

/** Stands for the database's name until {@linkcode forThisDatabase} replaces it; no name can hold it. */
const NAME = "\0";

/** The family of pg_database and pg_parameter_acl. */
export const databaseFamily: CatalogFamily = {
  name: "database",
  catalogs: ["pg_database", "pg_parameter_acl"],
  async read(context: DumpContext): Promise<void> {
    await addDatabase(context);
    for (const row of await context.session.query(PARAMETERS)) {
      const name = row.parname.split(".").map(quoteIdentifier).join(".");
      context.drafts.add(newDraft({
        catalog: "pg_parameter_acl",
        oid: row.oid,
        kind: "acl",
        section: "post-data",
        name: row.parname,
        address: `PARAMETER ${name}`,
        drop: [],
        commentable: false,
        rights: {
          grantType: "PARAMETER",
          grantName: name,
          acl: row.acl,
          aclDefault: row.acl_default,
          initial: null,
        },
      }));
    }
  },
};

async function addDatabase(context: DumpContext): Promise<void> {
  const [row] = await context.session.query(DATABASE);
  const create: string[] = [];
  if (row!.datconnlimit !== -1) create.push(alter(` CONNECTION LIMIT ${row!.datconnlimit}`));
  if (row!.datistemplate) create.push(alter(" IS_TEMPLATE true"));
  const rights = row!.acl === null ? [] : rightsStatements(row!.acl_default, row!.acl, {
    grantType: "DATABASE",
    on: `DATABASE ${NAME}`,
    owner: row!.owner,
  });
  const labels = await context.session.query(LABELS, [row!.oid]);
  context.drafts.add(newDraft({
    catalog: "pg_database",
    oid: row!.oid,
    kind: "database",
    name: "database",
    address: "DATABASE",
    create,
    drop: [],
    owner: row!.owner,
    commentable: false,
    extra: {
      owner: [alter(` OWNER TO ${quoteIdentifier(row!.owner)}`)],
      comment: row!.comment === null
        ? []
        : [forThisDatabase("COMMENT ON DATABASE ", ` IS ${quoteLiteral(row!.comment)}`)],
      label: labels.map((label) =>
        forThisDatabase(
          `SECURITY LABEL FOR ${quoteIdentifier(label.provider)} ON DATABASE `,
          ` IS ${quoteLiteral(label.label)}`,
        )
      ),
      acl: rights.map((statement) => {
        const [before, after] = statement.split(NAME);
        return after === undefined ? statement : forThisDatabase(before!, after);
      }),
    },
  }));
  if (row!.settings === null) return;
  context.drafts.add(newDraft({
    catalog: "pg_database",
    oid: row!.oid,
    part: "settings",
    kind: "database-setting",
    section: "post-data",
    name: "settings",
    address: "SETTINGS OF THE DATABASE",
    create: row!.settings.map((item: string) => alter(` ${setClause(item)}`)),
    drop: row!.settings.map((item: string) => {
      const name = item.slice(0, item.indexOf("="));
      return alter(` RESET ${name.split(".").map(quoteIdentifier).join(".")}`);
    }),
    commentable: false,
  }));
}

function alter(action: string): string {
  return forThisDatabase("ALTER DATABASE ", action);
}
