/**
 * Roles of the cluster: attributes, memberships, settings. Passwords are never read.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import { type CatalogFamily, Drafts, type DumpContext } from "../context.ts";
import { newDraft } from "./new_draft.ts";
import { forThisDatabase, setClause } from "./setting_statements.ts";

const ROLES = `
  select oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin,
         rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil::text as valid_until
    from pg_roles
   where rolname !~ '^pg_'
   order by rolname`;

const SETTINGS = `
  select r.oid, r.rolname, s.setdatabase <> 0 as here, s.setconfig as settings
    from pg_db_role_setting s
    join pg_roles r on r.oid = s.setrole
   where s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
   order by r.rolname, here`;

const ATTRIBUTES = [
  ["rolsuper", "SUPERUSER"],
  ["rolinherit", "INHERIT"],
  ["rolcreaterole", "CREATEROLE"],
  ["rolcreatedb", "CREATEDB"],
  ["rolcanlogin", "LOGIN"],
  ["rolreplication", "REPLICATION"],
  ["rolbypassrls", "BYPASSRLS"],
] as const;

/** The user that initdb made; rights it gave are given by whoever restores. */
const BOOTSTRAP_ROLE = 10;

/** The family of pg_authid, pg_auth_members and pg_db_role_setting. */
export const rolesFamily: CatalogFamily = {
  name: "roles",
  catalogs: ["pg_authid", "pg_auth_members", "pg_db_role_setting"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(ROLES)) addRole(context, row);
    await addMemberships(context);
    for (const row of await context.session.query(SETTINGS)) addSettings(context, row);
  },
};

function addRole(context: DumpContext, row: Row): void {
  const name = quoteIdentifier(row.rolname);
  const words: string[] = ATTRIBUTES.map(([column, word]) => row[column] ? word : `NO${word}`);
  if (row.rolconnlimit !== -1) words.push(`CONNECTION LIMIT ${row.rolconnlimit}`);
  if (row.valid_until !== null) words.push(`VALID UNTIL ${quoteLiteral(row.valid_until)}`);
  context.drafts.add(newDraft({
    catalog: "pg_authid",
    oid: row.oid,
    kind: "role",
    name: row.rolname,
    address: `ROLE ${name}`,
    create: [`CREATE ROLE ${name}`, `ALTER ROLE ${name} WITH ${words.join(" ")}`],
  }));
}

async function addMemberships(context: DumpContext): Promise<void> {
  const options = context.version >= 160000
    ? "m.inherit_option, m.set_option"
    : "null as inherit_option, true as set_option";
  const rows = await context.session.query(`
    select m.roleid, m.member, m.grantor, m.admin_option, ${options}, r.rolname as role_name,
           u.rolname as member_name, g.rolname as grantor_name
      from pg_auth_members m
      join pg_roles r on r.oid = m.roleid
      join pg_roles u on u.oid = m.member
      left join pg_roles g on g.oid = m.grantor
     where u.rolname !~ '^pg_'
     order by r.rolname, u.rolname, g.rolname`);
  for (const row of rows) {
    const role = quoteIdentifier(row.role_name);
    const member = quoteIdentifier(row.member_name);
    // Before 16 the grantor is a note without effect.
    const isGrantedBy = context.version >= 160000 && row.grantor !== BOOTSTRAP_ROLE &&
      row.grantor_name !== null;
    const grantedBy = isGrantedBy ? ` GRANTED BY ${quoteIdentifier(row.grantor_name)}` : "";
    context.drafts.add(newDraft({
      catalog: "pg_authid",
      oid: row.roleid,
      part: membershipPart(row.member, isGrantedBy ? row.grantor : BOOTSTRAP_ROLE),
      kind: "role-membership",
      name: `${row.role_name} ${row.member_name}`,
      address: `${role} TO ${member}${grantedBy}`,
      create: [`GRANT ${role} TO ${member}${membershipOptions(row)}${grantedBy}`],
      drop: [`REVOKE ${role} FROM ${member}${grantedBy}`],
      commentable: false,
      dependsOn: [
        Drafts.key("pg_authid", row.member),
        ...(isGrantedBy ? grantorsRights(rows, row) : []),
      ],
    }));
  }
}

function membershipPart(member: number, grantor: number): string {
  return `member-${member}-by-${grantor}`;
}

function membershipOptions(row: Row): string {
  const options: string[] = [];
  if (row.admin_option) options.push("ADMIN OPTION");
  if (row.inherit_option !== null) {
    // Version 16 and later write options as `ADMIN TRUE`; ADMIN OPTION is read by all.
    options.push(`INHERIT ${row.inherit_option ? "TRUE" : "FALSE"}`);
  }
  if (!row.set_option) options.push("SET FALSE");
  return options.length === 0 ? "" : ` WITH ${options.join(", ")}`;
}

/** The memberships that let the grantor of `row` give its role away. */
function grantorsRights(rows: readonly Row[], row: Row): string[] {
  return rows
    .filter((other) =>
      other.roleid === row.roleid && other.member === row.grantor && other.admin_option
    )
    .map((other) =>
      Drafts.key("pg_authid", other.roleid, membershipPart(other.member, other.grantor))
    );
}

function addSettings(context: DumpContext, row: Row): void {
  const role = quoteIdentifier(row.rolname);
  const clauses: string[] = row.settings.map(setClause);
  const names: string[] = row.settings.map((item: string) => item.slice(0, item.indexOf("=")));
  const write = (clause: string) =>
    row.here
      ? forThisDatabase(`ALTER ROLE ${role} IN DATABASE `, ` ${clause}`)
      : `ALTER ROLE ${role} ${clause}`;
  context.drafts.add(newDraft({
    catalog: "pg_authid",
    oid: row.oid,
    part: row.here ? "settings-here" : "settings",
    kind: "role-setting",
    section: "post-data",
    name: row.rolname,
    address: row.here ? `${role} IN THIS DATABASE` : role,
    create: clauses.map(write),
    drop: names.map((name) => write(`RESET ${name.split(".").map(quoteIdentifier).join(".")}`)),
    commentable: false,
  }));
}
