/**
 * Event triggers.
 *
 * @module
 */
import { quoteIdentifier, quoteLiteral } from "../../postgres/quote.ts";
import type { CatalogFamily, DumpContext } from "../context.ts";
import { functionNameSql } from "./catalog_names.ts";
import { takesWholeDatabase } from "./define.ts";
import { newDraft } from "./new_draft.ts";

const EVENT_TRIGGERS = `
  select e.oid, e.evtname, e.evtevent, e.evtenabled, e.evttags, r.rolname as owner,
         ${functionNameSql("e.evtfoid")} as function
    from pg_event_trigger e left join pg_roles r on r.oid = e.evtowner
   order by e.evtname`;

/** What ALTER EVENT TRIGGER says for each state but the usual one. */
const STATES: Readonly<Record<string, string>> = {
  D: "DISABLE",
  A: "ENABLE ALWAYS",
  R: "ENABLE REPLICA",
};

/** The family of pg_event_trigger. */
export const eventTriggersFamily: CatalogFamily = {
  name: "event triggers",
  catalogs: ["pg_event_trigger"],
  async read(context: DumpContext): Promise<void> {
    if (!takesWholeDatabase(context)) return;
    for (const row of await context.session.query(EVENT_TRIGGERS)) {
      if (context.extensionMembers.has(`pg_event_trigger:${row.oid}`)) continue;
      const name = quoteIdentifier(row.evtname);
      const tags = (row.evttags ?? []).map((tag: string) => quoteLiteral(tag)).join(", ");
      const create = [
        `CREATE EVENT TRIGGER ${name} ON ${quoteIdentifier(row.evtevent)}` +
        (tags === "" ? "" : ` WHEN TAG IN (${tags})`) + ` EXECUTE FUNCTION ${row.function}()`,
      ];
      const state = STATES[row.evtenabled];
      if (state !== undefined) create.push(`ALTER EVENT TRIGGER ${name} ${state}`);
      context.drafts.add(newDraft({
        catalog: "pg_event_trigger",
        oid: row.oid,
        kind: "event-trigger",
        section: "post-data",
        name: row.evtname,
        address: `EVENT TRIGGER ${name}`,
        create,
        owner: row.owner,
      }));
    }
  },
};
