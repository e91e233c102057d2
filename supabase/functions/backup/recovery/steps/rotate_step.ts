/**
 * Rotates the secrets that the request or the plan names; without names it changes nothing and says what
 * could be named.
 *
 * @module
 */
import { z } from "zod";
import { toJson } from "../../core/json.ts";
import { findRotatable } from "../../usecases/mend/find_rotatable.ts";
import { rotateSecrets, ROTATION_NAME } from "../../usecases/mend/rotate_secrets.ts";
import type { StepContext, StepEnd } from "../step.ts";

/** The `configKey` that means this. */
export const ROTATE_KEY = "secrets.rotate";

/** Names that are rotated each time, beside those of the request. */
export const rotationSchema = z.array(
  z.string().regex(
    ROTATION_NAME,
    "is not api_key:<name>, publishable_key:<name>, legacy_keys or database_password",
  ),
).max(50);

/** See the module. */
export async function rotateStep(
  { deps, caller, execution, idempotencyKey, signal }: StepContext,
  always: readonly string[],
): Promise<StepEnd> {
  const names = [...new Set([...always, ...execution.rotate])];
  const isDrill = execution.mode === "drill";
  if (names.length === 0 || isDrill) {
    const { names: rotatable } = await findRotatable(deps, signal);
    const unknown = names.filter((name) => !rotatable.includes(name));
    return {
      state: isDrill && names.length > 0 ? "done" : "skipped",
      found: names.length === 0
        ? "nothing was named, so nothing is rotated"
        : `a drill: would rotate ${names.join(", ")}`,
      details: { rotated: [], rotatable },
      byHand: names.length === 0
        ? [`name what is to be rotated: rotate: ${JSON.stringify(rotatable)}`]
        : unknown.map((name) => `${name} is nothing that can be rotated here`),
    };
  }
  const rotated = await rotateSecrets(deps, caller, { names, key: idempotencyKey, signal });
  return {
    state: "done",
    found: rotated.map(({ said }) => said).join("; "),
    details: {
      rotated: rotated.map(({ name }) => name),
      outcomes: toJson(rotated.map(({ name, outcome, said }) => ({ name, outcome, said }))),
    },
    byHand: [...new Set(rotated.flatMap(({ byHand }) => byHand))],
  };
}
