import assert from "node:assert/strict";
import { fileURLToPath } from "../../scripts/paths.ts";
import { DENO_RUN } from "../../scripts/testing/deno_run.ts";
import { fromBase64, fromUtf8 } from "../../supabase/functions/backup/core/bytes.ts";
import { CONTRACT_REF } from "../support/management_contract.ts";
import { factsOf, fillProject, startPlatform } from "../support/rich_project.ts";
import { startS3Server } from "../support/s3_server.ts";
import {
  endedPoint,
  startWholeProject,
  tell,
  type WholeProject,
} from "../support/whole_project.ts";

// The client of S3 keeps connections, which the test runner would take for leaks.
const options = { sanitizeOps: false, sanitizeResources: false };

/** All that a person has to do in the new project, as a comparison tells it once everything is back. */
const BY_HAND = {
  database: [],
  files: [],
  function: [],
  config: ["auth", "environment", "cron-jobs"],
  secrets: ["function/STRIPE_KEY"],
};

/** An old project with something of everything, and an empty new one that knows only bucket and key. */
async function startBoth() {
  const s3 = await startS3Server();
  const [before, after] = await Promise.all([startPlatform(), startPlatform()]);
  const shared = {
    BACKUP_STORAGE_TYPE: "s3",
    BACKUP_STORAGE_BUCKET: "backups",
    BACKUP_STORAGE_ENDPOINT: s3.endpoint,
    BACKUP_STORAGE_ACCESS_KEY: s3.credentials.AWS_ACCESS_KEY_ID,
    BACKUP_STORAGE_SECRET_KEY: s3.credentials.AWS_SECRET_ACCESS_KEY,
    BACKUP_VAULT_KEY: btoa("0123456789abcdef0123456789abcdef"),
    BACKUP_SETTINGS_TABLES: "public.flags",
  };
  const old = await startWholeProject(shared, { platform: before });
  await fillProject(old, before);
  const young = await startWholeProject(
    { ...shared, BACKUP_ENCRYPTION_KEY: old.encryptionKey },
    { platform: after, projectRef: "zyxwvutsrqponmlkjihg" },
  );
  return {
    ...{ old, young, before, after },
    async [Symbol.asyncDispose]() {
      for (const each of [young, old, after, before]) await each[Symbol.asyncDispose]();
      await s3.close();
    },
  };
}

/** Restores by the command line: no service, nothing but what the function has in its environment. */
async function restore({ variables }: WholeProject, body: unknown) {
  const script = fileURLToPath(new URL("../../scripts/action.ts", import.meta.url));
  const args = [...DENO_RUN, script, "--json", "--action", "restore"];
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args, "--body", JSON.stringify(body)],
    env: variables,
  }).output();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout)).result;
}

interface Stage {
  result: {
    steps?: { key: string; action: string }[];
    plan?: { steps: { name: string }[] };
    leftOut?: { identity: string }[];
  };
}

/** What a plan finds to do or leaves to a person, of functions, files, settings and secrets. */
function openSteps(stages: Record<string, Stage>): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(stages).map(([name, { result }]) => [
      name,
      (result.steps ?? []).filter(({ action }) => action !== "keep").map(({ key }) => key),
    ]),
  );
}

Deno.test(
  "a project that is lost comes back whole in an empty one from the bucket and the key alone",
  options,
  async () => {
    await using both = await startBoth();
    const { old, young, before, after } = both;
    await tell(old, "init");
    const { recoveryPointId } = (await tell(old, "backup-all")).body.data;
    const made = await endedPoint(old, recoveryPointId);
    assert.equal(made.status, "completed", JSON.stringify(made));
    const saved = await factsOf(before);
    const all = { backupId: recoveryPointId, type: "all", skipSafetyBackup: true };

    // Each step is shown first.
    const plan = await tell(young, "restore&wait=60", { ...all, dryRun: true });
    assert.equal(plan.status, 200, JSON.stringify(plan.body));
    const { stages } = plan.body.data.result;
    assert.deepEqual(Object.keys(stages), ["database", "files", "function", "config", "secrets"]);
    assert.deepEqual(
      stages.database.result.plan.steps.map(({ name }: { name: string }) => name).slice(0, 4),
      ["lock", "roles", "drop", "create"],
    );
    assert.deepEqual(stages.files.result.planned, { create: 10 });
    assert.deepEqual(stages.function.result.planned, { create: 3 });
    assert.equal(young.management.resources.functions.functions.size, 0);

    // What must be accepted is told before the database is touched.
    const refused = await tell(young, "restore&wait=60", {
      ...all,
      acceptHazards: ["no-safety-backup"],
    });
    const { error } = refused.body;
    assert.deepEqual([error.code, error.details.hazards[0].key], ["restore_refused", "pictures"]);
    const [shop] = await young.files.session.query(
      "select to_regclass('shop.orders') is null as untouched",
    );
    assert.equal(shop?.untouched, true, "the database comes before the files");

    const accept = ["no-safety-backup", "pictures"];
    const done = await restore(young, { ...all, acceptHazards: accept });
    assert.deepEqual([done.pointId, done.leftOut], [recoveryPointId, []]);
    assert.deepEqual(done.stages.database.result.comparison.differences, []);
    // Open logins stay out unless they are asked for; the queue of pg_net is the stand-in's own.
    for (const { identity } of done.stages.database.result.leftOut) {
      assert.match(
        identity,
        /"auth"\."(sessions|refresh_tokens)"|"net"\."http_request_queue_id_seq"/,
      );
    }
    assert.deepEqual(await factsOf(after), saved);
    const [jobs] = await young.files.session.query(
      "select bool_or(active) as active from cron.job",
    );
    assert.equal(jobs?.active, false);
    for (const key of old.files.store.keys()) {
      const [, bucket = "", name = ""] = /^([^/]+)\/(.*)\/[^/]+$/.exec(key) ?? [];
      const [was, is] = [
        await old.files.bytes(bucket, name),
        await young.files.bytes(bucket, name),
      ];
      assert.ok(was !== null && is !== null && "bytes" in was && "bytes" in is, key);
      assert.ok(is.bytes.every((byte, at) => byte === was.bytes[at]), key);
      assert.equal(is.bytes.length, was.bytes.length, key);
    }
    for (const slug of ["one", "two", "three"]) {
      const { files } = young.management.resources.functions.deployedWith(slug);
      assert.equal(fromUtf8(fromBase64(files["index.ts"]!)), `export default '${slug}';`);
    }
    const { auth } = young.management.resources.config;
    assert.deepEqual(
      [auth.site_url, auth.external_google_client_id, auth.external_google_enabled],
      ["https://shop.example", "client.apps.example", false],
    );

    // What a comparison still finds is what a person has to supply.
    const again = await restore(young, { ...all, dryRun: true });
    assert.deepEqual(openSteps(again.stages), BY_HAND);
    const definitions = again.stages.database.result.plan.steps
      .filter(({ name }: { name: string }) => ["roles", "create", "adjust"].includes(name));
    assert.deepEqual(definitions, []);
    await using next = young.again();
    await goesOn(next);
  },
);

/**
 * The new project goes on with the backups of the old one, once it is said whose they were. Another process
 * has its own share of requests to the Management API in a minute.
 */
async function goesOn(young: WholeProject): Promise<void> {
  await tell(young, "init");
  const foreign = await tell(young, "backup-database&wait=60");
  assert.equal(foreign.body.error.code, "repository_foreign");
  const guess = await tell(young, "init", { takeOverRepository: "klmnopqrstuvwxyzabcd" });
  assert.deepEqual([guess.status, guess.body.error.code], [400, "invalid_request"]);
  const line = new RegExp(`"takeOverRepository": ?"${CONTRACT_REF}"`);
  assert.match(foreign.body.error.hint, line);
  assert.equal((await tell(young, "init", { takeOverRepository: CONTRACT_REF })).status, 200);
  assert.equal((await tell(young, "backup-database&wait=60")).status, 200);
}
