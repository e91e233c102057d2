/**
 * Foreign data: wrappers, servers and user mappings.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { rightsColumnsSql, rightsOf } from "./define.ts";
import { foreignOptionsSql, newDraft } from "./new_draft.ts";

const WRAPPERS = `
  select w.oid, w.fdwname as name, ${functionNameSql("w.fdwhandler")} as handler,
         ${functionNameSql("w.fdwvalidator")} as validator, ${
  foreignOptionsSql("w.fdwoptions")
} as options,
         ${
  rightsColumnsSql("pg_foreign_data_wrapper", {
    oid: "w.oid",
    acl: "w.fdwacl",
    owner: "w.fdwowner",
    type: "F",
  })
}
    from pg_foreign_data_wrapper w
   order by w.fdwname`;

const SERVERS = `
  select s.oid, s.srvname as name, s.srvtype, s.srvversion, w.fdwname, ${
  foreignOptionsSql("s.srvoptions")
} as options,
         ${
  rightsColumnsSql("pg_foreign_server", {
    oid: "s.oid",
    acl: "s.srvacl",
    owner: "s.srvowner",
    type: "S",
  })
}
    from pg_foreign_server s join pg_foreign_data_wrapper w on w.oid = s.srvfdw
   order by s.srvname`;

/** The view hides the options of other people's mappings. */
const MAPPINGS = `
  select m.umid, m.umuser, m.usename, m.srvid, m.srvname, m.umoptions is null as has_none,
         ${foreignOptionsSql("m.umoptions")} as options
    from pg_user_mappings m
   order by m.srvname, m.usename`;

/** The family of pg_foreign_data_wrapper. */
export const wrappersFamily: CatalogFamily = {
  name: "foreign data wrappers",
  catalogs: ["pg_foreign_data_wrapper"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(WRAPPERS)) {
      const name = quoteIdentifier(row.name);
      const extension = context.extensionMembers.get(`pg_foreign_data_wrapper:${row.oid}`);
      const create = `CREATE FOREIGN DATA WRAPPER ${name}` +
        (row.handler === null ? "" : ` HANDLER ${row.handler}`) +
        (row.validator === null ? "" : ` VALIDATOR ${row.validator}`) + (row.options ?? "");
      context.drafts.add(newDraft({
        catalog: "pg_foreign_data_wrapper",
        oid: row.oid,
        kind: extension === undefined ? "foreign-data-wrapper" : "acl",
        name: row.name,
        address: `FOREIGN DATA WRAPPER ${name}`,
        rights: rightsOf(row, { type: "FOREIGN DATA WRAPPER", name }),
        ...(extension === undefined
          ? { create: [create], owner: row.owner }
          : { extension, drop: [] }),
      }));
    }
  },
};

/** The family of pg_foreign_server. */
export const serversFamily: CatalogFamily = {
  name: "foreign servers",
  catalogs: ["pg_foreign_server"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(SERVERS)) {
      const name = quoteIdentifier(row.name);
      const extension = context.extensionMembers.get(`pg_foreign_server:${row.oid}`);
      const create = `CREATE SERVER ${name}` +
        (row.srvtype ? ` TYPE ${quoteLiteral(row.srvtype)}` : "") +
        (row.srvversion ? ` VERSION ${quoteLiteral(row.srvversion)}` : "") +
        ` FOREIGN DATA WRAPPER ${quoteIdentifier(row.fdwname)}${row.options ?? ""}`;
      context.drafts.add(newDraft({
        catalog: "pg_foreign_server",
        oid: row.oid,
        kind: extension === undefined ? "foreign-server" : "acl",
        name: row.name,
        address: `SERVER ${name}`,
        rights: rightsOf(row, { type: "FOREIGN SERVER", name }),
        ...(extension === undefined
          ? { create: [create], owner: row.owner }
          : { extension, drop: [] }),
      }));
    }
  },
};

/** The family of pg_user_mapping. */
export const mappingsFamily: CatalogFamily = {
  name: "user mappings",
  catalogs: ["pg_user_mapping"],
  async read(context: DumpContext): Promise<void> {
    const hidden: string[] = [];
    for (const row of await context.session.query(MAPPINGS)) {
      const user = row.umuser === 0 ? "PUBLIC" : quoteIdentifier(row.usename);
      const address = `USER MAPPING FOR ${user} SERVER ${quoteIdentifier(row.srvname)}`;
      if (row.has_none && !context.isSuperuser) hidden.push(`${row.usename} on ${row.srvname}`);
      context.drafts.add(newDraft({
        catalog: "pg_user_mapping",
        oid: row.umid,
        kind: "user-mapping",
        name: `${row.usename} ${row.srvname}`,
        address,
        create: [`CREATE ${address}${row.options ?? ""}`],
        commentable: false,
        dependsOn: [`pg_foreign_server:${row.srvid}`, `pg_authid:${row.umuser}`],
      }));
    }
    if (hidden.length > 0) {
      context.remarks.push(
        `Options of these user mappings, if they have any, can be read only by their owners and are ` +
          `not in the backup: ${hidden.join(", ")}`,
      );
    }
  },
};
