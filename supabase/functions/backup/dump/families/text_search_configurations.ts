/**
 * Text search dictionaries, and configurations with their mappings.
 *
 * @module
 */
import { quoteIdentifier, quoteQualified } from "../../postgres/quote.ts";
import type { Row } from "../../postgres/session.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { roleNameSql } from "./catalog_names.ts";
import { define, given, isTaken, isUsersSql } from "./define.ts";

const DICTIONARIES = `
  select d.oid, n.oid as schema_oid, n.nspname, d.dictname, d.dictinitoption,
         ${roleNameSql("d.dictowner")} as owner,
         (select format('%I.%I', tn.nspname, t.tmplname)
            from pg_ts_template t join pg_namespace tn on tn.oid = t.tmplnamespace
           where t.oid = d.dicttemplate) as template
    from pg_ts_dict d join pg_namespace n on n.oid = d.dictnamespace
   where ${isUsersSql("pg_ts_dict", { oid: "d.oid", schema: "n.nspname" })}
   order by n.nspname, d.dictname`;

const CONFIGURATIONS = `
  select c.oid, n.oid as schema_oid, n.nspname, c.cfgname, ${roleNameSql("c.cfgowner")} as owner,
         (select format('%I.%I', pn.nspname, p.prsname)
            from pg_ts_parser p join pg_namespace pn on pn.oid = p.prsnamespace
           where p.oid = c.cfgparser) as parser
    from pg_ts_config c join pg_namespace n on n.oid = c.cfgnamespace
   where ${isUsersSql("pg_ts_config", { oid: "c.oid", schema: "n.nspname" })}
   order by n.nspname, c.cfgname`;

const MAPPINGS = `
  select m.mapcfg as configuration,
         (select t.alias from ts_token_type(c.cfgparser) t where t.tokid = m.maptokentype) as token,
         string_agg(format('%I.%I', dn.nspname, d.dictname), ', ' order by m.mapseqno) as dictionaries
    from pg_ts_config_map m
    join pg_ts_config c on c.oid = m.mapcfg
    join pg_namespace n on n.oid = c.cfgnamespace
    join pg_ts_dict d on d.oid = m.mapdict
    join pg_namespace dn on dn.oid = d.dictnamespace
   where ${isUsersSql("pg_ts_config", { oid: "c.oid", schema: "n.nspname" })}
   group by m.mapcfg, c.cfgparser, m.maptokentype
   order by m.mapcfg, m.maptokentype`;

/** The family of pg_ts_dict. */
export const textSearchDictionariesFamily: CatalogFamily = {
  name: "text search dictionaries",
  catalogs: ["pg_ts_dict"],
  async read(context: DumpContext): Promise<void> {
    for (const row of await context.session.query(DICTIONARIES)) {
      if (!isTaken(context, row.schema_oid)) continue;
      const address = `TEXT SEARCH DICTIONARY ${quoteQualified(row.nspname, row.dictname)}`;
      const options = row.dictinitoption === null
        ? ""
        : `,\n    ${quoteOptionNames(row.dictinitoption)}`;
      define(context, {
        catalog: "pg_ts_dict",
        oid: row.oid,
        kind: "text-search-dictionary",
        schema: row.nspname,
        name: row.dictname,
        address,
        owner: row.owner,
        create: [`CREATE ${address} (\n    TEMPLATE = ${row.template}${options}\n)`],
      });
    }
  },
};

/** The family of pg_ts_config and its mappings. */
export const textSearchConfigurationsFamily: CatalogFamily = {
  name: "text search configurations",
  catalogs: ["pg_ts_config", "pg_ts_config_map"],
  async read(context: DumpContext): Promise<void> {
    const configurations = await context.session.query(CONFIGURATIONS);
    if (configurations.length === 0) return;
    const mappings = Map.groupBy(
      await context.session.query(MAPPINGS),
      (row) => row.configuration as number,
    );
    for (const row of configurations) {
      if (!isTaken(context, row.schema_oid)) continue;
      const address = `TEXT SEARCH CONFIGURATION ${quoteQualified(row.nspname, row.cfgname)}`;
      define(context, {
        catalog: "pg_ts_config",
        oid: row.oid,
        kind: "text-search-configuration",
        schema: row.nspname,
        name: row.cfgname,
        address,
        owner: row.owner,
        create: [
          `CREATE ${address} (\n    PARSER = ${row.parser}\n)`,
          ...(mappings.get(row.oid) ?? []).map((mapping) => addMapping(mapping, address)),
        ],
      });
    }
  },
};

/**
 * The server keeps the options as SQL, with names quoted as the session had it that wrote them. They
 * are always quoted here, so that equal dictionaries look equal.
 */
export function quoteOptionNames(options: string): string {
  const option = /(?:"((?:[^"]|"")+)"|([^\s"'=,]+)) = (E?'(?:[^']|'')*'|[^\s"',]+)(?:, |$)/gy;
  const quoted: string[] = [];
  let end = 0;
  for (const match of options.matchAll(option)) {
    const name = match[1]?.replaceAll('""', '"') ?? match[2]!;
    quoted.push(`${quoteIdentifier(name)} = ${match[3]}`);
    end = match.index + match[0].length;
  }
  return end === options.length ? quoted.join(", ") : options;
}

function addMapping(mapping: Row, address: string): string {
  const token = quoteIdentifier(given(mapping.token, `a token type of ${address}`));
  return `ALTER ${address}\n    ADD MAPPING FOR ${token} WITH ${mapping.dictionaries}`;
}
