/** @module */
import { z } from "zod";
import { tick as goOn } from "../usecases/service/tick.ts";
import { defineAction } from "./action.ts";

/** The scheduler's call. Its key opens nothing else. */
export const tick = defineAction({
  name: "tick",
  method: "POST",
  summary: "Go on with work that waits and clear away leftovers; what the scheduler calls.",
  input: z.strictObject({
    depth: z.number().int().min(0).max(1_000_000).default(0)
      .describe("Calls of the service to itself that led here; 0 for the clock's."),
  }),
  output: z.object({
    state: z.enum(["started", "working", "spent", "idle"]),
    waiting: z.number(),
  }),
  accepted: true,
  run: (deps, { depth }) => goOn(deps, { depth }),
});
