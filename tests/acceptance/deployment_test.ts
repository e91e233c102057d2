/**
 * The function as a user deploys it: the README's lines, run by the real Supabase CLI, and what it uploads,
 * alone, on the platform.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Project, startProject } from "../../scripts/demo/start_project.ts";
import { connect } from "../../supabase/functions/backup/postgres/connect.ts";
import {
  checkOut,
  fillIn,
  linesOf,
  placeUpload,
  runUpload,
  secretKey,
} from "../support/deployment.ts";
import type { HostedPlatform } from "../support/hosted_platform.ts";
import {
  type ManagementContract,
  startManagementContract,
} from "../support/management_contract.ts";
import { type S3Server, startS3Server } from "../support/s3_server.ts";
import { findSupabaseCli } from "../support/supabase_cli.ts";

const cli = await findSupabaseCli();
const missing = "missing" in cli ? cli.missing : null;

/** Far above what it is, far below what the platform takes: a package too much is seen. */
const MOST_BYTES = 4_000_000;
const MOST_FILES = 800;

/** curl as it is, with each answer on a line of its own. */
const CURL = `curl() { command curl --write-out '\\n' "$@"; }\n`;

/** A project, and the function in it that the README's lines deployed. */
async function deployByReadme(
  { contract, project, s3 }: { contract: ManagementContract; project: Project; s3: S3Server },
) {
  if ("missing" in cli) throw new Error(cli.missing);
  await using checkout = await checkOut();
  const { path: folder } = checkout;
  const [deploy, init] = await linesOf("README.md", "Deploy to a Supabase project");
  const filledIn = fillIn(deploy!, {
    "<ref>": contract.projectRef,
    "my-backups": "backups",
    "https://s3.eu-central-1.amazonaws.com": s3.endpoint,
    "<access-key>": s3.credentials.AWS_ACCESS_KEY_ID,
    "<secret-access-key>": s3.credentials.AWS_SECRET_ACCESS_KEY,
  });
  await cli.script(filledIn, { contract, folder });
  const upload = await placeUpload(contract, "backup");
  const log: string[] = [];
  const { databaseUrl } = project;
  const onLog = (line: string) => void log.push(line);
  const platform = runUpload(upload, { contract, databaseUrl, onLog });
  const prologue = CURL + fillIn(exportsOf(init!), {
    "https://<ref>.supabase.co/functions/v1/backup": platform.url,
    "<a-secret-key-of-the-project>": secretKey(contract),
  });
  return {
    ...{ upload, platform, log },
    init: init!.slice(exportsOf(init!).length),
    /** Runs lines of a page with the address and the key that the README sets, and gives the answers. */
    // deno-lint-ignore no-explicit-any -- answers are looked at field by field
    async call(lines: string): Promise<any[]> {
      const { stdout } = await cli.script(prologue + lines, { contract, folder: upload.path });
      const answers = stdout.split("\n").filter((line) => line !== "")
        .map((line) => JSON.parse(line));
      for (const answer of answers) assert.equal(answer.success, true, JSON.stringify(answer));
      return answers.map(({ data }) => data);
    },
    async [Symbol.asyncDispose]() {
      await platform[Symbol.asyncDispose]();
      await upload[Symbol.asyncDispose]();
    },
  };
}

function exportsOf(lines: string): string {
  return lines.split("\n").filter((line) => line.startsWith("export ")).join("\n") + "\n";
}

async function statusOf({ url }: HostedPlatform, headers: Record<string, string>) {
  const answer = await fetch(`${url}?action=status`, { headers });
  await answer.body?.cancel();
  return answer.status;
}

Deno.test({
  name:
    "the README's lines deploy the function, and what was uploaded, alone, backs up and restores" +
    (missing === null ? "" : ` (left out: ${missing})`),
  ignore: missing !== null,
  async fn() {
    await using contract = startManagementContract();
    await using project = await startProject();
    await using s3 = await openS3();
    await using deployed = await deployByReadme({ contract, project, s3 });
    const { upload, platform } = deployed;
    const known = contract.resources.functions.functions.get("backup");
    assert.equal(known?.verify_jwt, false, "the function itself checks keys, which are no JWTs");
    assert.ok(upload.bytes < MOST_BYTES, `${upload.bytes} bytes`);
    assert.ok(upload.files.length < MOST_FILES, `${upload.files.length} files`);
    assert.deepEqual(upload.files.filter((path) => !isOfTheFunction(path)), ["import_map.json"]);

    const { keys } = contract.resources.secrets;
    const publishable = keys.find(({ type }) => type === "publishable")!.value;
    assert.equal(await statusOf(platform, {}), 401);
    assert.equal(await statusOf(platform, { apikey: publishable }), 403);
    assert.equal(await statusOf(platform, { apikey: secretKey(contract) }), 200);
    const bearer = { authorization: `Bearer ${secretKey(contract)}` };
    assert.equal(await statusOf(platform, bearer), 200);

    const [init, test] = await deployed.call(deployed.init);
    const steps = init.steps.map((step: { step: string; done: boolean }) => [step.step, step.done]);
    assert.deepEqual(
      steps.filter(([, done]: [string, boolean]) => !done).map(([name]: [string]) => name),
      [
        ...["key-saved", "schedule", "first-backup", "first-restore-test", "channels"],
      ],
    );
    assert.equal(test.ok, true, JSON.stringify(test));

    await using session = await open(project.databaseUrl);
    await session.execute("create table public.notes as select 'kept' as word");
    const [lines] = await linesOf("README.md", "First backup and restore");
    const [before, after] = lines!.split(/(?=# Over the live database)/);
    const [backup, jobs, plan] = await deployed.call(before!);
    assert.deepEqual([backup.status, backup.createdBy], ["completed", "default"]);
    assert.deepEqual(jobs.jobs.map(({ jobId }: { jobId: string }) => jobId), [backup.jobId]);
    assert.equal(plan.result.dryRun, true);
    await session.execute("update public.notes set word = 'lost'");
    const [restore] = await deployed.call(after!);
    assert.equal(restore.status, "completed", JSON.stringify(restore.error));
    assert.deepEqual(await session.query("select word from public.notes"), [{ word: "kept" }]);
    assert.deepEqual(deployed.log, [], "the function wrote to its log");
    assert.deepEqual(platform.figures().ended, {
      ...{ cpu: 0, memory: 0, wall_clock: 0, random: 0, crash: 0, termination: 0 },
      early_drop: platform.figures().ended.early_drop,
    });
  },
});

function isOfTheFunction(path: string): boolean {
  return path.startsWith("supabase/functions/backup/") && path.endsWith(".ts") &&
    !path.endsWith("_test.ts");
}

async function open(url: string) {
  const session = await connect({ url });
  return Object.assign(session, { [Symbol.asyncDispose]: () => session.close() });
}

async function openS3() {
  const server = await startS3Server();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() });
}
