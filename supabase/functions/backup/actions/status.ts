/** @module */
import { z } from "zod";
import { settingsSchema } from "../core/settings.ts";
import { goOn } from "../usecases/jobs/go_on.ts";
import { readStatus } from "../usecases/service/read_status.ts";
import { defineAction, jobSchema } from "./action.ts";

const condition = z.object({
  ok: z.boolean(),
  found: z.string(),
  code: z.string().optional().describe("Of the error that stood in the way of looking."),
});

const next = z.object({
  nextDueAt: z.iso.datetime().nullable(),
  whyNotDue: z.string().nullable(),
});

/** The backups of one type. */
const overview = z.object({
  enabled: z.boolean(),
  count: z.number(),
  last: z.object({
    backupId: z.string(),
    completedAt: z.iso.datetime(),
    rawBytes: z.number(),
    partial: z.boolean(),
  }).nullable(),
  ...next.shape,
  overdue: z.boolean(),
  shrunk: z.string().nullable()
    .describe("How far the newest backup is below half of the one before it."),
  halfRestored: z.string().nullable()
    .describe("That the newest backup was made while a restore of the database was not complete."),
  lost: z.object({ missing: z.array(z.string()), replaced: z.array(z.string()) }),
});

/** Settings, last and next backup, running jobs, storage and tables. */
export const status = defineAction({
  name: "status",
  method: "GET",
  summary: "Settings in force, last and next backup, running jobs, storage and tables.",
  input: z.strictObject({}),
  output: z.object({
    healthy: z.boolean(),
    settings: settingsSchema,
    settingsFrom: z.array(z.string()),
    settingsVersions: z.array(z.object({
      version: z.number(),
      changedAt: z.iso.datetime(),
      changedBy: z.string().nullable(),
      changed: z.array(z.string()).describe("Names of the settings that it changed."),
    })),
    settingsProblems: z.array(z.object({ path: z.string(), message: z.string() }))
      .describe("Rows of the settings that are wrong and not followed."),
    notifications: condition.extend({
      channels: z.array(z.object({
        name: z.string(),
        problem: z.string().nullable(),
        lastSentAt: z.iso.datetime().nullable(),
        lastError: z.string().nullable(),
        lastFailedAt: z.iso.datetime().nullable(),
        unsent: z.number(),
      })),
      open: z.array(z.object({
        incidentId: z.string(),
        about: z.string(),
        since: z.iso.datetime(),
        count: z.number(),
        escalated: z.boolean(),
      })),
    }).describe("Whether people would be told, and what they were told of that is not over."),
    database: condition,
    storage: condition.extend({ location: z.string().nullable() }),
    heldMoments: condition
      .describe(
        "Who holds the moments of backups. Not ok when that outlives its job, because it holds back VACUUM.",
      ),
    recoverable: condition,
    backups: z.object({
      database: overview,
      function: overview,
      config: overview,
      secrets: overview,
      files: overview,
    }),
    verification: next,
    cleanup: next,
    destinations: z.array(z.object({
      name: z.string(),
      type: z.string(),
      lastCopy: z.object({ jobId: z.string(), at: z.iso.datetime() }).nullable()
        .describe("The latest good replication, and when it ended."),
      failures: z.number().nullable().describe("Replications that failed since then."),
      nextAt: z.iso.datetime().nullable(),
      why: z.string().nullable(),
    })).describe("Further places that backups are copied to, and when that happens next."),
    runningJobs: z.array(jobSchema),
    unfinishedRestores: z.array(z.string())
      .describe(
        "Restores of the database that have begun, are not complete, and are worked on by no job.",
      ),
  }),
  run: async (deps) => {
    const found = await readStatus(deps);
    goOn(deps, found.runningJobs);
    return found;
  },
});
