/**
 * When a rule or trigger fires, depending on `session_replication_role`.
 *
 * @module
 */

const ACTIONS: Record<string, string> = {
  O: "ENABLE",
  D: "DISABLE",
  A: "ENABLE ALWAYS",
  R: "ENABLE REPLICA",
};

/**
 * The ALTER TABLE action for `tgenabled` or `ev_enabled`, such as `DISABLE TRIGGER "t"`.
 *
 * @throws {RangeError} when the letter is none of O, D, A, R
 */
export function firingAction(letter: string, what: "RULE" | "TRIGGER", name: string): string {
  const action = ACTIONS[letter];
  if (action === undefined) {
    throw new RangeError(`Cannot say when ${what} ${name} fires: the letter is ${letter}`);
  }
  return `${action} ${what} ${name}`;
}
