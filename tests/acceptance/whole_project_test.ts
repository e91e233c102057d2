import assert from "node:assert/strict";
import { toBase64, utf8 } from "../../supabase/functions/backup/core/bytes.ts";
import {
  ask,
  deploy,
  endedPoint,
  startWholeProject,
  tell,
  type WholeProject,
} from "../support/whole_project.ts";

Deno.test("a whole project is saved as one recovery point and each part of it comes back", async () => {
  await using project = await startWholeProject();
  const { files, management } = project;
  await files.addBucket("avatars", { public: true });
  await files.put("avatars", "a/1.png", "one", { mimetype: "image/png" });
  await files.put("avatars", "b/2.png", "two", { userMetadata: { by: "me" } });
  await files.session.execute(
    "create table public.notes as select i as id, 'note ' || i as body from generate_series(1, 50) i",
  );
  management.resources.config.auth.site_url = "https://shop.example";
  management.resources.secrets.secrets.set("STRIPE_KEY", "sk_live_1");
  await deploy(management, "export default 'good';");
  assert.equal((await tell(project, "init")).status, 200);

  const { status, body } = await tell(project, "backup-all", { reason: "before the move" });
  assert.equal(status, 202, JSON.stringify(body));
  const made = await endedPoint(project, body.data.recoveryPointId);
  const by = new Map<string, { type: string; status: string; backupId: string }>(
    made.components.map((each: { type: string }) => [each.type, each]),
  );
  assert.equal(made.reason, "before the move");
  for (const type of ["database", "files", "config", "function", "secrets"]) {
    assert.equal(by.get(type)!.status, "completed", JSON.stringify(by.get(type)));
  }
  assert.equal(made.status, "completed");
  assert.match(made.consistency.join("\n"), /The database.* is of one moment/);
  assert.match(made.consistency.join("\n"), /Files were read one after the other/);

  // Somebody deletes an object, replaces another, and changes the settings.
  const deleted = await fetch(`${files.url}/object/avatars`, {
    method: "DELETE",
    headers: { authorization: `Bearer ${files.key}`, "content-type": "application/json" },
    body: JSON.stringify({ prefixes: ["a/1.png"] }),
  });
  assert.equal(deleted.status, 200, await deleted.text());
  await files.put("avatars", "b/2.png", "damaged");
  await deploy(management, "export default 'evil';");
  management.resources.config.auth.site_url = "https://evil.example";

  const plan = await tell(project, "restore&wait=60", {
    backupId: by.get("config")!.backupId,
    type: "config",
    items: ["auth"],
    dryRun: true,
  });
  assert.equal(plan.status, 200, JSON.stringify(plan.body));
  assert.match(JSON.stringify(plan.body.data.result.steps), /evil\.example/);
  assert.equal(management.resources.config.auth.site_url, "https://evil.example");

  const config = await tell(project, "restore&wait=60", {
    ...{
      backupId: by.get("config")!.backupId,
      type: "config",
      items: ["auth"],
      skipSafetyBackup: true,
    },
  });
  assert.equal(config.status, 200, JSON.stringify(config.body));
  assert.equal(management.resources.config.auth.site_url, "https://shop.example");

  const code = await tell(project, "restore&wait=60", { backupId: "latest", type: "function" });
  assert.equal(code.status, 200, JSON.stringify(code.body));
  assert.match(code.body.data.result.safetyBackupId, /^safety_.*_function_/);
  const deployed = management.resources.functions.deployedWith("hello").files;
  assert.deepEqual(deployed, { "index.ts": toBase64(utf8("export default 'good';")) });

  management.resources.secrets.secrets.set("STRIPE_KEY", "sk_live_2");
  const secrets = await tell(project, "restore&wait=60", { backupId: "latest", type: "secrets" });
  assert.equal(secrets.status, 200, JSON.stringify(secrets.body));
  assert.match(JSON.stringify(secrets.body.data.result.byHand), /STRIPE_KEY/);
  assert.doesNotMatch(JSON.stringify(secrets.body), /sk_live/);

  const over = { backupId: "latest", type: "files" };
  const refused = await tell(project, "restore&wait=60", over);
  assert.equal(refused.body.error.code, "restore_refused");
  assert.deepEqual(refused.body.error.details.hazards.map((each: { key: string }) => each.key), [
    "avatars/b/2.png",
  ]);
  const restored = await tell(project, "restore&wait=60", { ...over, acceptHazards: ["avatars/"] });
  assert.equal(restored.status, 200, JSON.stringify(restored.body));
  const api = files.api();
  const signal = new AbortController().signal;
  for (const [name, content] of [["a/1.png", "one"], ["b/2.png", "two"]] as const) {
    const download = await api.download({ bucket: "avatars", name }, { signal });
    assert.equal(await new Response(ReadableStream.from(download!.body)).text(), content);
  }

  // The table of points is an index of storage.
  const rows = () =>
    files.session.query(`
      select point_id, backup_id, status, is_consistent, reason, components::text as components
      from public.recovery_points`);
  const [row] = await rows();
  assert.deepEqual([row?.point_id, row?.backup_id, row?.status, row?.is_consistent], [
    ...[made.pointId, by.get("database")!.backupId, "completed", true],
  ]);
  assert.deepEqual(JSON.parse(row?.components), made.components);
  await files.session.execute("delete from public.recovery_points");
  assert.equal((await tell(project, "init")).status, 200);
  assert.deepEqual(await rows(), [row]);
});

Deno.test("what a restore of items does not know is refused by name", async () => {
  await using project = await startWholeProject();
  await files(project);
  const refusals: [Record<string, unknown>, string][] = [
    [{ type: "files", tables: ["public.t"] }, "tables"],
    [{ type: "files", mode: "over" }, "mode"],
    [{ type: "database", items: ["avatars/"] }, "items"],
    [{ type: "config", backupId: "test_backup" }, "backupId"],
    [{ type: "everything" }, "type"],
  ];
  for (const [body, path] of refusals) {
    const answer = await tell(project, "restore", { backupId: "latest", ...body });
    assert.equal(answer.status, 400, JSON.stringify(answer.body));
    const issues = answer.body.error.details.issues as { path: string }[];
    assert.ok(issues.some((issue) => issue.path === path), JSON.stringify(issues));
  }
  await tell(project, "init");
  const missing = await tell(project, "restore", { backupId: "latest", type: "config" });
  assert.equal(missing.status, 404, JSON.stringify(missing.body));
  assert.equal(missing.body.error.code, "backup_not_found");
  const pointId = "point_20260101T000000000Z_0123456789";
  const point = await tell(project, "restore", { backupId: pointId, type: "files" });
  assert.equal(point.status, 404, JSON.stringify(point.body));
  assert.match(point.body.error.hint, /recovery point.*type all/);
});

Deno.test("a part that cannot be saved leaves the others standing and the point partial", async () => {
  await using project = await startWholeProject({ BACKUP_MANAGEMENT_TOKEN: "" });
  await files(project);
  project.files.faults.push({
    request: /^GET \/bucket/,
    times: 1000,
    answer: { status: 403, body: '{"statusCode":"403","error":"Unauthorized","message":"no"}' },
  });
  await tell(project, "init");
  const { body } = await tell(project, "backup-all");
  const made = await endedPoint(project, body.data.recoveryPointId);
  const status = Object.fromEntries(
    made.components.map((each: { type: string; status: string }) => [each.type, each.status]),
  );
  assert.equal(made.status, "partial");
  assert.equal(status.database, "completed");
  assert.equal(status.files, "failed");
  assert.equal(status.function, "skipped");
  assert.match(JSON.stringify(body.data.skipped), /BACKUP_MANAGEMENT_TOKEN/);

  const both = await Promise.all([tell(project, "backup-all"), tell(project, "backup-all")]);
  assert.deepEqual(both.map(({ status }) => status).sort(), [202, 409]);
  const twice = both.find(({ status }) => status === 202)!.body.data;
  await endedPoint(project, twice.recoveryPointId);
  const { points } = (await ask(project, "recovery-points")).body.data;
  assert.equal(points.length, 2, "the refused one is no point");

  // A service that died after it had started the first backup of another point.
  const left = {
    ...{ pointId: "point_20260101T000000000Z_0123456789", createdAt: "2026-01-01T00:00:00.000Z" },
    ...{ reason: null, createdBy: "default" },
    components: [
      { type: "database", jobId: body.data.jobs[0].jobId, reason: null },
      { type: "files", jobId: "backup_20260101T000000000Z_files_0123456789", reason: null },
    ],
  };
  await project.files.session.execute(
    `insert into public.recovery_points (point_id, recovery_timestamp, status, plan)
      values ('${left.pointId}', now(), 'running', '${JSON.stringify(left)}')`,
  );
  assert.equal((await tell(project, "tick")).status, 202);
  const concluded = await endedPoint(project, left.pointId);
  assert.equal(concluded.status, "partial");
  const [database, lost] = concluded.components;
  assert.deepEqual([database.status, lost.status], ["completed", "failed"]);
  assert.match(lost.reason, /never started/);
});

async function files({ files }: WholeProject, content = "one"): Promise<void> {
  await files.addBucket("avatars");
  await files.put("avatars", "1.png", content);
}
