/**
 * A database of a test's own on a shared server.
 *
 * @module
 */
import type { PostgresMajor } from "../../scripts/embedded_postgres.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { quoteIdentifier } from "../../supabase/functions/backup/postgres/quote.ts";
import { testServer } from "./servers.ts";

/** See the module; disposing drops it. */
export interface TemporaryDatabase extends AsyncDisposable {
  name: string;
  /** As the server's superuser. */
  url: string;
}

/** Makes an empty database whose name begins with `prefix`. */
export async function temporaryDatabase(
  prefix: string,
  options: { major?: PostgresMajor; encoding?: string } = {},
): Promise<TemporaryDatabase> {
  const server = await testServer(options.major ?? 17);
  const name = `${prefix}_${crypto.randomUUID().slice(0, 8)}`;
  const encoding = options.encoding === undefined
    ? ""
    : ` encoding '${options.encoding}' locale 'C'`;
  await runSql(
    server.url(),
    `create database ${quoteIdentifier(name)} template template0${encoding}`,
  );
  return {
    name,
    url: server.url(name),
    [Symbol.asyncDispose]: () =>
      runSql(server.url(), `drop database if exists ${quoteIdentifier(name)} with (force)`),
  };
}

/** Runs statements on a connection of their own. */
export async function runSql(url: string, sql: string): Promise<void> {
  const session = await connect({ url });
  await session.execute(sql).finally(() => session.close());
}
