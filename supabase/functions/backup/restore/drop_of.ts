/**
 * The statements that remove an entry, also where it has none of its own.
 *
 * @module
 */
import type { Entry } from "../core/model.ts";

const NAME = '"(?:[^"]|"")*"(?:\\."(?:[^"]|"")*")?';
const OWNED_BY = new RegExp(`^(ALTER SEQUENCE ${NAME} OWNED BY) `, "su");
const ATTACH = new RegExp(`^(ALTER TABLE (?:ONLY )?${NAME}) ATTACH PARTITION (${NAME}) `, "su");

/**
 * Statements that remove an entry. A sequence is cut loose from its column, and a partition from its
 * parent, before the table goes: it would go with it.
 */
export function dropOf(entry: Entry): string[] {
  if (entry.statements.drop.length > 0) return entry.statements.drop;
  return entry.statements.create.flatMap((sql) => {
    const owned = OWNED_BY.exec(sql);
    if (owned !== null) return [`${owned[1]} NONE`];
    const attached = ATTACH.exec(sql);
    return attached === null ? [] : [`${attached[1]} DETACH PARTITION ${attached[2]}`];
  });
}
