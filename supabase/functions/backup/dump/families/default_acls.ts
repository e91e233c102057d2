/**
 * Default privileges (ALTER DEFAULT PRIVILEGES).
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { rightsStatements } from "../rights.ts";
import { isTaken, takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const DEFAULT_ACLS = `
  select d.oid, r.rolname as role, d.defaclnamespace, n.nspname, d.defaclobjtype, d.defaclacl as acl,
         case when d.defaclnamespace = 0
              then acldefault(case d.defaclobjtype when 'S' then 's' else d.defaclobjtype end,
                              d.defaclrole)
              else '{}'::aclitem[] end as base
    from pg_default_acl d
    left join pg_roles r on r.oid = d.defaclrole
    left join pg_namespace n on n.oid = d.defaclnamespace
   order by r.rolname, n.nspname, d.defaclobjtype`;

const TYPES: Readonly<Record<string, string>> = {
  r: "TABLES",
  S: "SEQUENCES",
  f: "FUNCTIONS",
  T: "TYPES",
  n: "SCHEMAS",
  L: "LARGE OBJECTS",
};

/** The family of pg_default_acl. */
export const defaultAclsFamily: CatalogFamily = {
  name: "default privileges",
  catalogs: ["pg_default_acl"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(DEFAULT_ACLS)) {
      const isWanted = row.defaclnamespace === 0
        ? takesWholeDatabase(context)
        : isTaken(context, row.defaclnamespace);
      if (!isWanted) continue;
      const type = TYPES[row.defaclobjtype]!;
      const inSchema = row.nspname === null ? "" : ` IN SCHEMA ${quoteIdentifier(row.nspname)}`;
      const prefix = `ALTER DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(row.role)}${inSchema} `;
      const target = { grantType: type, on: type, prefix, owner: row.role };
      context.drafts.add(newDraft({
        catalog: "pg_default_acl",
        oid: row.oid,
        kind: "default-acl",
        section: "post-data",
        schema: row.nspname,
        name: `${row.role} ${type}`,
        address: `DEFAULT PRIVILEGES FOR ROLE ${quoteIdentifier(row.role)}${inSchema} ON ${type}`,
        drop: rightsStatements(row.acl, row.base, target),
        commentable: false,
        extra: { acl: rightsStatements(row.base, row.acl, target) },
      }));
    }
  },
};
