/**
 * Changes a setting: of this service by its name, of the project by its path (`auth.site_url`), or rotates
 * secrets (`secrets.rotate`).
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "../../core/errors.ts";
import { describeIssues, type SettingsPatch, settingsPatchSchema } from "../../core/settings.ts";
import type { Json } from "../../core/part.ts";
import { changeConfigField, findConfigField } from "../../project/mod.ts";
import { isRestartPending, restartServices } from "../../usecases/mend/restart_services.ts";
import { updateConfig } from "../../usecases/service/update_config.ts";
import type { StepContext, StepEnd, StepKind } from "../step.ts";
import { readParameters } from "./read_parameters.ts";
import { ROTATE_KEY, rotateStep, rotationSchema } from "./rotate_step.ts";

/** The guide's three. */
const parameters = z.strictObject({
  configKey: z.string().min(1).max(200),
  configValue: z.json(),
  restartRequired: z.boolean().default(false),
}).superRefine(({ configKey, configValue }, context) => {
  const refuse = (field: string, message: string) =>
    context.addIssue({ code: "custom", path: [field], message });
  const schema = schemaOf(configKey);
  if (schema === undefined) {
    refuse(
      "configKey",
      `is neither a setting of this service, nor ${ROTATE_KEY}, nor a field of the project's ` +
        "settings that can be written, such as auth.site_url",
    );
    return;
  }
  const checked = schema?.safeParse(configValue);
  if (checked === undefined || checked.success) return;
  for (const { path, message } of describeIssues(checked.error)) {
    refuse(["configValue", path].filter((part) => part !== "").join("."), message);
  }
});

type Parameters = z.infer<typeof parameters>;

/** What checks a value; null where only the platform can, undefined for a key that means nothing. */
function schemaOf(configKey: string): z.ZodType | null | undefined {
  if (configKey === ROTATE_KEY) return rotationSchema;
  if (Object.hasOwn(settingsPatchSchema.shape, configKey)) {
    return settingsPatchSchema.shape[configKey as keyof SettingsPatch] as z.ZodType;
  }
  return findConfigField(configKey) === null ? undefined : null;
}

/** See the module. */
export const configUpdate: StepKind = {
  type: "config_update",
  parameters,
  async run(context) {
    const read = readParameters(parameters, context.step);
    const { configKey, configValue } = read;
    if (configKey === ROTATE_KEY) return await rotateStep(context, configValue as string[]);
    return Object.hasOwn(settingsPatchSchema.shape, configKey)
      ? await changeSetting(context, read)
      : await changeProject(context, read);
  },
};

async function changeSetting(context: StepContext, read: Parameters): Promise<StepEnd> {
  const { deps, caller, execution } = context;
  const { configKey, configValue } = read;
  const change = {
    updates: { [configKey]: configValue } as SettingsPatch,
    dryRun: true,
  };
  const { changed } = await updateConfig(deps, caller, change);
  if (changed.length === 0) return endOf(read, "unchanged");
  if (execution.mode === "drill") return endOf(read, "would change");
  await updateConfig(deps, caller, { ...change, dryRun: false });
  return endOf(read, "changed");
}

async function changeProject(context: StepContext, read: Parameters): Promise<StepEnd> {
  const { deps, execution, signal } = context;
  const { configKey, configValue, restartRequired } = read;
  const access = deps.project.management();
  const field = findConfigField(configKey);
  if (access.api === null || field === null) {
    const why = access.api === null ? access.withoutApi : "there is no such field";
    throw new BackupError("invalid_config", `Cannot change ${configKey}: ${why}`);
  }
  const dryRun = execution.mode === "drill";
  const value = configValue as Json;
  const { changed, hazards } = await changeConfigField(access.api, field, {
    value,
    dryRun,
    signal,
  });
  const isOfDatabase = /^database-/.test(configKey);
  if (!changed) {
    const asksForRestart = restartRequired && isOfDatabase && !dryRun;
    // A try before this one may have changed it and not come to the restart.
    if (!asksForRestart || !await isRestartPending(deps, signal)) return endOf(read, "unchanged");
    return endOf(read, "restarted", [await restart(context)]);
  }
  if (dryRun) return endOf(read, "would change", hazards);
  if (!restartRequired) return endOf(read, "changed", hazards);
  if (!isOfDatabase) {
    const line = "services of the platform take up such settings by themselves";
    return endOf(read, "changed", [...hazards, line]);
  }
  return endOf(read, "changed", [...hazards, await restart(context)]);
}

/** @returns what to say of it */
async function restart({ deps, signal }: StepContext): Promise<string> {
  await restartServices(deps, {
    ...{ services: ["database"], checkOnly: false, force: true, waitForHealth: true, signal },
    freshSeconds: 0, // whenever it started, it was before the change
  });
  return "the database was restarted";
}

/** Without the value: it may be meant for the project alone. */
function endOf(
  { configKey }: Parameters,
  outcome: "changed" | "unchanged" | "restarted" | "would change",
  remarks: readonly string[] = [],
): StepEnd {
  const words = outcome === "unchanged" || outcome === "restarted"
    ? `${configKey} has the value already`
    : `${configKey} ${outcome}`;
  return {
    state: outcome === "unchanged" ? "skipped" : "done",
    found: [words, ...remarks].join("; "),
    details: { configKey, changed: outcome === "changed" },
    byHand: [],
  };
}
