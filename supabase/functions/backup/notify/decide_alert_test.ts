import assert from "node:assert/strict";
import fc from "fast-check";
import type { Alert } from "../core/alert.ts";
import type { NotifyEvent } from "../core/notify_event.ts";
import { alertKeys, decideAlert, type Decision } from "./decide_alert.ts";

const NOW = new Date("2026-01-02T03:04:05.000Z");

function decide(
  open: Alert | null,
  event: Partial<NotifyEvent>,
  options: { threshold?: number; canTell?: boolean; tellSuccess?: boolean } = {},
): Decision {
  const whole = {
    kind: "job-failed",
    type: "database",
    jobId: null,
    message: "m",
    ...event,
  } as const;
  return decideAlert({ key: "backup:database", open }, whole, {
    ...{ threshold: 3, canTell: true, tellSuccess: false, now: NOW, newId: () => "incident_1" },
    ...options,
  });
}

/** What is told of failures of jobs 1, 2, …, and what is remembered at their end. */
function failures(count: number, options: Parameters<typeof decide>[2] = {}) {
  const told: (string | null)[] = [];
  let alert: Alert | null = null;
  for (let index = 1; index <= count; index++) {
    const decision = decide(alert, { jobId: `backup_${index}` }, options);
    told.push(decision.tell);
    alert = decision.alert;
  }
  return { told, alert };
}

Deno.test("decideAlert() tells of the first failure and of the one that the threshold says", () => {
  assert.deepEqual(failures(5).told, ["opened", null, "escalated", null, null]);
  assert.deepEqual(failures(3, { threshold: 2 }).told, ["opened", "escalated", null]);
  assert.deepEqual(failures(2, { threshold: 1 }).told, ["escalated", null]);
});

Deno.test("decideAlert() never escalates news of low priority", () => {
  const first = decide(null, { priority: "low" }, { threshold: 1 });
  assert.equal(first.tell, "opened");
  const next = decide(first.alert, { priority: "low", jobId: "backup_2" }, { threshold: 1 });
  assert.equal(next.tell, null);
});

Deno.test("decideAlert() keeps one incident, however often it fails", () => {
  const { alert } = failures(4);
  assert.equal(alert?.incidentId, "incident_1");
  assert.equal(alert?.count, 4);
});

Deno.test("decideAlert() counts a job that is told of twice once", () => {
  const { alert } = failures(2);
  const again = decide(alert, { jobId: "backup_2" });
  assert.equal(again.alert?.count, 2);
  assert.equal(again.tell, null);
});

Deno.test("decideAlert() tells once that what failed works again", () => {
  const { alert } = failures(2);
  const recovered = decide(alert, { kind: "job-recovered", jobId: "backup_3" });
  assert.deepEqual([recovered.tell, recovered.closed], ["recovered", true]);
  assert.equal(decide(null, { kind: "job-recovered" }).tell, null);
});

Deno.test("decideAlert() tells of success where that is wanted, and not beside a recovery", () => {
  const told = (open: Alert | null) =>
    decide(open, { kind: "job-recovered" }, { tellSuccess: true }).tell;
  assert.equal(told(null), "completed");
  assert.equal(told(failures(1).alert), "recovered");
});

Deno.test("decideAlert() tells later of an incident that nobody could be told of", () => {
  const { told, alert } = failures(2, { canTell: false });
  assert.deepEqual(told, [null, null]);
  assert.equal(decide(alert, { kind: "job-recovered" }).tell, null);
  assert.equal(decide(alert, { kind: "job-failed", jobId: "backup_3" }).tell, "escalated");
});

Deno.test("decideAlert() escalates neither damage nor what is overdue, and counts no looks", () => {
  for (const kind of ["damage", "missed"] as const) {
    const first = decide(null, { kind }, { threshold: 1 });
    assert.equal(first.tell, "opened");
    const second = decide(first.alert, { kind }, { threshold: 1 });
    assert.equal(second.tell, null);
    assert.equal(second.alert?.count, kind === "missed" ? 1 : 2);
  }
});

Deno.test("decideAlert() never tells more of an incident than its beginning, one escalation and its end", () => {
  const happening = fc.record({
    kind: fc.constantFrom("job-failed", "job-recovered", "damage", "missed"),
    jobId: fc.constantFrom(null, "backup_1", "backup_2", "backup_3"),
    canTell: fc.boolean(),
  });
  fc.assert(fc.property(fc.array(happening), fc.integer({ min: 1, max: 4 }), (all, threshold) => {
    let open: Alert | null = null;
    let told: string[] = [];
    let ids = 0;
    for (const { kind, jobId, canTell } of all) {
      const event: NotifyEvent = { kind, type: "database", jobId, message: "m" } as NotifyEvent;
      const options = { threshold, canTell, tellSuccess: false, now: NOW };
      const newId = () => `incident_${++ids}`;
      const { alert, closed, tell } = decideAlert({ key: "k", open }, event, { ...options, newId });
      if (!canTell) assert.equal(tell, null);
      if (tell !== null) told.push(tell);
      assert.equal(new Set(told).size, told.length, told.join());
      if (tell === "recovered") assert.ok(told.length > 1, "nobody knew that anything was wrong");
      if (closed) told = [];
      open = closed ? null : alert;
    }
  }));
});

Deno.test("alertKeys() knows what a job did by its id, and that a good backup is no longer overdue", () => {
  const keys = (event: Partial<NotifyEvent>) =>
    alertKeys({ kind: "job-failed", type: "files", jobId: null, message: "m", ...event });
  assert.deepEqual(keys({ jobId: "backup_x" }), ["backup:files"]);
  assert.deepEqual(keys({ jobId: "restore_x" }), ["restore:files"]);
  assert.deepEqual(keys({ jobId: "verify_x" }), ["verify:files"]);
  assert.deepEqual(keys({ kind: "missed" }), ["missed:files"]);
  assert.deepEqual(keys({ kind: "job-recovered", jobId: "backup_x" }), [
    "backup:files",
    "missed:files",
  ]);
  assert.deepEqual(keys({ kind: "job-recovered", jobId: "restore_x" }), ["restore:files"]);
  assert.deepEqual(keys({ key: "damage:backup_1" }), ["damage:backup_1"]);
});
