import assert from "node:assert/strict";
import { fromUtf8 } from "../../supabase/functions/backup/core/bytes.ts";

/** Says what scheduleInBatches() says, and the field `policy` of proc(5); 3 is SCHED_BATCH, 5 SCHED_IDLE. */
const PROGRAM = `
  import { scheduleInBatches } from "${import.meta.resolve("./schedule_in_batches.ts")}";
  const does = scheduleInBatches();
  const stat = Deno.readTextFileSync("/proc/thread-self/stat");
  console.log(does, stat.slice(stat.lastIndexOf(")") + 2).split(" ")[38]);`;

/** In a process of its own, because a thread passes its policy on to those that it starts. */
async function policyOf(command: string, args: readonly string[]): Promise<string> {
  const running = new Deno.Command(command, {
    args: [...args, "eval", "--no-lock", PROGRAM],
    stderr: "inherit",
  });
  return fromUtf8((await running.output()).stdout).trim();
}

async function hasChrt(): Promise<boolean> {
  try {
    return (await new Deno.Command("chrt", { args: ["--max"], stdout: "null" }).output()).success;
  } catch {
    return false; // not installed, or may not be run
  }
}

const isLinux = Deno.build.os === "linux";
const canBeIdle = isLinux && await hasChrt();

Deno.test({
  name: `a thread is scheduled in batches once it asks for it${isLinux ? "" : " (not Linux)"}`,
  ignore: !isLinux,
  async fn() {
    assert.equal(await policyOf(Deno.execPath(), []), "true 3");
  },
});

Deno.test({
  name: `a thread keeps the policy that its user has chosen${canBeIdle ? "" : " (no chrt here)"}`,
  ignore: !canBeIdle,
  async fn() {
    assert.equal(await policyOf("chrt", ["--idle", "0", Deno.execPath()]), "false 5");
  },
});
