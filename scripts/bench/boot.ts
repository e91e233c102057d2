/**
 * What a start of the deployed function costs: the CLI uploads it to a stand-in, and what arrived is
 * started again and again for one request that is refused. `deno run -A scripts/bench/boot.ts [runs]`
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import { checkOut, placeUpload, runUpload } from "../../tests/support/deployment.ts";
import { startManagementContract } from "../../tests/support/management_contract.ts";
import { findSupabaseCli } from "../../tests/support/supabase_cli.ts";
import { median } from "./result_table.ts";

const runs = Number(Deno.args[0] ?? 11);
const cli = await findSupabaseCli();
if ("missing" in cli) {
  console.error(`Cannot measure: ${cli.missing}`);
  Deno.exit(1);
}
await using contract = startManagementContract();
await using checkout = await checkOut();
await cli.run(["functions", "deploy", "backup", "--use-api", "--yes"], {
  ...{ contract, folder: checkout.path },
});
await using upload = await placeUpload(contract, "backup");
console.log(`upload: ${(upload.bytes / 1e6).toFixed(2)} MB in ${upload.files.length} files`);
const cpuMs: number[] = [];
const memoryMb: number[] = [];
for (let run = 0; run < runs; run++) {
  await using platform = runUpload(upload, {
    contract,
    databaseUrl: "postgres://postgres@127.0.0.1:1/postgres",
  });
  const answer = await fetch(`${platform.url}?action=status`);
  await answer.body?.cancel();
  if (answer.status !== 401) throw new Error(`the function answers ${answer.status}`);
  await new Promise((resolve) => setTimeout(resolve, 300)); // the platform looks and counts now and then
  const figures = platform.figures();
  cpuMs.push(figures.cpuMs);
  memoryMb.push(figures.peakMemoryBytes / 1e6);
}
const least = Math.min(...cpuMs);
console.log(
  `boot and a refused request, ${runs} isolates: CPU ${
    median(cpuMs).toFixed(0)
  } ms in the middle, ` +
    `${least.toFixed(0)} at best; memory ${median(memoryMb).toFixed(0)} MB`,
);
