/**
 * Procedural languages that no extension made, and changed rights on all trusted ones.
 *
 * @module
 */
import { quoteIdentifier } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { FIRST_USER_OID, rightsColumnsSql, rightsOf, takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const LANGUAGES = `
  select l.oid, l.lanname, l.lanispl, l.lanpltrusted, ${
  functionNameSql("l.lanplcallfoid")
} as handler,
         ${functionNameSql("l.laninline")} as inline, ${
  functionNameSql("l.lanvalidator")
} as validator,
         ${
  rightsColumnsSql("pg_language", { oid: "l.oid", acl: "l.lanacl", owner: "l.lanowner", type: "l" })
}
    from pg_language l
   order by l.lanname`;

/** The family of pg_language. */
export const languagesFamily: CatalogFamily = {
  name: "languages",
  catalogs: ["pg_language"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    for (const row of await context.session.query(LANGUAGES)) add(context, row);
  },
};

function add(context: DumpContext, row: Row): void {
  const name = quoteIdentifier(row.lanname);
  const extension = context.extensionMembers.get(`pg_language:${row.oid}`);
  const isDefined = row.oid >= FIRST_USER_OID && extension === undefined && row.lanispl;
  const create = [
    `CREATE ${row.lanpltrusted ? "TRUSTED " : ""}LANGUAGE ${name} HANDLER ${row.handler}` +
    (row.inline === null ? "" : ` INLINE ${row.inline}`) +
    (row.validator === null ? "" : ` VALIDATOR ${row.validator}`),
  ];
  context.drafts.add(newDraft({
    catalog: "pg_language",
    oid: row.oid,
    kind: isDefined ? "language" : "acl",
    name: row.lanname,
    address: `LANGUAGE ${name}`,
    create: isDefined ? create : [],
    drop: isDefined ? [`DROP LANGUAGE ${name}`] : [],
    owner: isDefined ? row.owner : null,
    commentable: isDefined,
    // Nobody can be given an untrusted language.
    ...(row.lanpltrusted ? { rights: rightsOf(row, { type: "LANGUAGE", name }) } : {}),
    ...(extension === undefined ? {} : { extension }),
  }));
}
