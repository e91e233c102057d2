/** @module */
import { z } from "zod";
import { checkChain } from "../usecases/verify/check_chain.ts";
import { defineAction } from "./action.ts";

/** Proves the chain from settings to storage without touching data. */
export const test = defineAction({
  name: "test",
  method: "GET",
  summary:
    "Prove the whole chain: settings, storage, key, database, tables, channels. Touches no data.",
  input: z.strictObject({}),
  output: z.object({
    ok: z.boolean(),
    checks: z.array(z.object({
      name: z.string(),
      ok: z.boolean(),
      ms: z.number(),
      found: z.string(),
      error: z.object({ code: z.string(), message: z.string(), hint: z.string().optional() })
        .nullable(),
      findings: z.array(z.object({
        check: z.string(),
        severity: z.enum(["ok", "note", "warning", "error"]),
        found: z.string(),
        hint: z.string().optional(),
      })).optional(),
    })),
  }),
  run: (deps) => checkChain(deps),
});
