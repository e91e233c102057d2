/**
 * Loads what pg_dump printed as its own users do: a restore may lose what this loses, and nothing more.
 *
 * @module
 */
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import { DatabaseError } from "../../supabase/functions/backup/postgres/database_error.ts";
import { bytesOfText } from "./bytes_as_text.ts";
import { splitStatements } from "./split_statements.ts";

/** Runs each statement of a dump in a database; as psql does, it goes on when one fails. */
export async function loadDump(url: string, dump: string): Promise<void> {
  const session = await connect({ url });
  try {
    const text = session.sqlText === "utf8" ? new TextDecoder().decode(bytesOfText(dump)) : dump;
    for (const statement of splitStatements(text.replace(/^\\(?:un)?restrict .*$/gm, ""))) {
      try {
        await session.execute(statement);
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
      }
    }
  } finally {
    await session.close();
  }
}
