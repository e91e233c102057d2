/**
 * Subscriptions: made again without connecting, disabled, and without the password of their
 * connection.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

/** The family of pg_subscription. */
export const subscriptionsFamily: CatalogFamily = {
  name: "subscriptions",
  catalogs: ["pg_subscription"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    const rows = await context.session.query(subscriptionsSql(context));
    for (const row of rows) add(context, row);
    if (rows.length === 0) return;
    const names = rows.map((row) => row.subname).join(", ");
    context.remarks.push(
      context.isSuperuser
        ? `Subscriptions are saved disabled and without passwords: ${names}`
        : `Subscriptions are saved without their connection, which only a superuser can read: ${names}`,
    );
  },
};

function subscriptionsSql(context: DumpContext): string {
  const { version, isSuperuser } = context;
  const since16 = version >= 160000
    ? "s.subpasswordrequired, s.subrunasowner, s.suborigin"
    : "true as subpasswordrequired, false as subrunasowner, 'any' as suborigin";
  return `
    select s.oid, s.subname, r.rolname as owner, ${
    isSuperuser ? "s.subconninfo" : "''"
  } as conninfo,
           s.subslotname, s.subsynccommit, s.subpublications, s.subbinary,
           s.substream::text as stream, s.subtwophasestate::text as two_phase, s.subdisableonerr,
           ${since16}, ${version >= 170000 ? "s.subfailover" : "false as subfailover"}
      from pg_subscription s left join pg_roles r on r.oid = s.subowner
     where s.subdbid = (select oid from pg_database where datname = current_database())
     order by s.subname`;
}

function add(context: DumpContext, row: Row): void {
  const name = quoteIdentifier(row.subname);
  const publications = row.subpublications.map((each: string) => quoteIdentifier(each)).join(", ");
  const options = [
    "connect = false",
    `slot_name = ${row.subslotname === null ? "NONE" : quoteLiteral(row.subslotname).trimStart()}`,
  ];
  if (row.subbinary) options.push("binary = true");
  const streams: Readonly<Record<string, string>> = { t: "on", true: "on", p: "parallel" };
  options.push(`streaming = ${streams[row.stream] ?? "off"}`);
  if (row.two_phase !== "d") options.push("two_phase = on");
  if (row.subdisableonerr) options.push("disable_on_error = true");
  if (!row.subpasswordrequired) options.push("password_required = false");
  if (row.subrunasowner) options.push("run_as_owner = true");
  if (row.subfailover) options.push("failover = true");
  if (row.subsynccommit !== "off") {
    options.push(`synchronous_commit = ${quoteIdentifier(row.subsynccommit)}`);
  }
  if (row.suborigin !== "any") options.push(`origin = ${row.suborigin}`);
  context.drafts.add(newDraft({
    catalog: "pg_subscription",
    oid: row.oid,
    kind: "subscription",
    section: "post-data",
    name: row.subname,
    address: `SUBSCRIPTION ${name}`,
    create: [
      `CREATE SUBSCRIPTION ${name} CONNECTION ${quoteLiteral(withoutPassword(row.conninfo))} ` +
      `PUBLICATION ${publications} WITH (${options.join(", ")})`,
      ...(context.version < 160000 ? [runAsOwner(name)] : []),
    ],
    // Dropping must not reach for the slot on the other server.
    drop: [
      `ALTER SUBSCRIPTION ${name} DISABLE`,
      `ALTER SUBSCRIPTION ${name} SET (slot_name = NONE)`,
      `DROP SUBSCRIPTION ${name}`,
    ],
    owner: row.owner,
  }));
}

/**
 * Before 16 changes were applied with the rights of the subscription's owner and there was no word for
 * it; a newer server must be told, or it applies them with the rights of each table's owner.
 */
function runAsOwner(name: string): string {
  const alter = quoteLiteral(`ALTER SUBSCRIPTION ${name} SET (run_as_owner = true)`);
  return `DO ${
    quoteLiteral(
      `BEGIN IF current_setting('server_version_num')::int >= 160000 THEN EXECUTE ${alter}; END IF; END`,
    )
  }`;
}

/**
 * A connection string without its passwords, in both forms that libpq reads.
 *
 * @example
 * ```ts
 * withoutPassword("host=a password='x y' user=u"); // "host=a user=u"
 * ```
 */
export function withoutPassword(conninfo: string): string {
  if (/^postgres(ql)?:\/\//.test(conninfo)) {
    return conninfo
      .replace(/^(postgres(?:ql)?:\/\/[^/?#@:]*):[^/?#]*@/, "$1@")
      .replace(/([?&])(?:ssl)?password=[^&]*&?/g, "$1")
      .replace(/[?&]$/, "");
  }
  return conninfo
    .replace(/(^|\s)(?:ssl)?password\s*=\s*(?:'(?:[^'\\]|\\.)*'|(?:[^\s\\]|\\.)*)/g, "$1")
    .replace(/\s+/g, " ")
    .trim();
}
