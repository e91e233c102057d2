/**
 * The beginning of every reading of the catalog: what the source is, and which of its schemas are saved.
 *
 * @module
 */
import type { SourceFacts } from "../core/model.ts";
import type { Session } from "../postgres/session.ts";
import { Drafts, type DumpContext, type DumpOptions } from "./context.ts";
import { readExtensionMembers } from "./extension_members.ts";
import { schemasFamily } from "./families/schemas.ts";
import { sideBySide } from "./side_by_side.ts";
import { readSourceFacts } from "./source_facts.ts";

const IN_CLEAR = "the connection to the database was not encrypted: others on the way could read " +
  "along; sslmode=verify-full with sslrootcert in its address prevents it";

/** Begins a reading; the drafts hold the schemas. @param session as `readDatabase` takes it */
export async function beginReading(
  session: Session,
  options: DumpOptions,
): Promise<{ context: DumpContext; source: SourceFacts }> {
  const [source, extensionMembers] = await sideBySide([
    readSourceFacts(session, options),
    readExtensionMembers(session),
  ]);
  const context: DumpContext = {
    session,
    options,
    version: session.serverVersion,
    isSuperuser: source.readAs.superuser,
    drafts: new Drafts(),
    schemas: new Map(),
    extensionMembers,
    leftOut: new Set(),
    tableData: [],
    readByFunction: [],
    remarks: session.inClear ? [IN_CLEAR] : [],
    slice: null,
  };
  await quotingAll(session, () => schemasFamily.read(context));
  return { context, source };
}

/**
 * Names in quotes need no server's list of keywords. For the reading only: what a session with this setting
 * makes can keep the quotes, such as the options of a text search dictionary.
 */
export async function quotingAll<T>(session: Session, read: () => Promise<T>): Promise<T> {
  const [before] = await session.query("select current_setting('quote_all_identifiers') as quotes");
  await session.execute("set quote_all_identifiers = on");
  const reading = await read();
  await session.execute(`set quote_all_identifiers = ${before!.quotes}`);
  return reading;
}
