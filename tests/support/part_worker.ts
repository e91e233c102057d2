/**
 * A worker in a process of its own, for tests that stop it. It says `inside` in the middle of the first
 * rows that it copies and waits for a line; at the end it says what became of its reports.
 *
 * Arguments: database URL, directory of the repository, job id, milliseconds of a lease.
 *
 * @module
 */
import type { PartStore } from "../../supabase/functions/backup/jobs/part_store.ts";
import { localStorage } from "../../supabase/functions/backup/storage/local.ts";
import { partBackup } from "./part_backup.ts";

const [url = "", directory = "", jobId = "", leaseMs = ""] = Deno.args;
const reports: string[] = [];
const say = (text: string) => Deno.stdout.write(new TextEncoder().encode(`${text}\n`));

await using backup = await partBackup(url, { storage: localStorage(directory) });
let begun = false;
let copying = false;
await backup.work(jobId, {
  leaseMs: Number(leaseMs),
  onError: (error) => reports.push(error.code),
  store: (tables) =>
    watched(tables, {
      claimed: (name) => copying = name === "copying-rows",
      reported: (outcome) => void reports.push(outcome),
    }),
  storage: (storage) => ({
    ...storage,
    async put(name, body, signal) {
      if (copying && !begun) {
        begun = true;
        await say("inside");
        await Deno.stdin.read(new Uint8Array(1));
      }
      return await storage.put(name, body, signal);
    },
  }),
});
await say(JSON.stringify(reports));

function watched(
  store: PartStore,
  ears: { claimed: (name: string) => void; reported: (outcome: string) => void },
): PartStore {
  return new Proxy(store, {
    get(inner, method) {
      const value = Reflect.get(inner, method, inner);
      if (typeof value !== "function") return value;
      if (method !== "claim" && method !== "complete" && method !== "fail") {
        return value.bind(inner);
      }
      return async (...given: unknown[]) => {
        const result = await value.apply(inner, given);
        if (method === "claim" && result !== null) ears.claimed(result.name);
        if (method !== "claim") ears.reported(result);
        return result;
      };
    },
  });
}
