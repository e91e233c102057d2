/**
 * `task settings`: writes `docs/settings.md` from the schema of the settings. With `--check` it changes
 * nothing and ends with 1 when the page is out of date.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a program for a terminal
import {
  DEFAULT_SETTINGS,
  ENVIRONMENT_BOUND,
  ENVIRONMENT_MINIMUM,
  settingsSchema,
} from "../supabase/functions/backup/core/settings.ts";
import {
  SETTING_VARIABLES,
  STORAGE_VARIABLES,
  variableOf,
} from "../supabase/functions/backup/core/settings_variables.ts";
import { allowedWords, effectOf } from "../supabase/functions/backup/core/settings_words.ts";
import { ROOT } from "./embedded_postgres.ts";
import { join } from "./paths.ts";

/** Variables that are no settings: no row and no request can say them. */
const OTHER_VARIABLES: readonly (readonly [string, string, string])[] = [
  ["BACKUP_DATABASE_URL", "`SUPABASE_DB_URL`", "Address of the database to save."],
  ["BACKUP_ADMIN_KEY", "none", "Needed besides, in `x-backup-admin-key`, for what can destroy."],
  ["BACKUP_ALLOWED_KEYS", "all", "Names of the secret keys that may call, by commas."],
  [
    "BACKUP_ALLOWED_HOSTS",
    "the providers' own hosts",
    "Hosts that requests, rows and the Vault may name, by commas: `host`, `host:port`, `*.domain`.",
  ],
  [
    "BACKUP_FUNCTION_URL",
    "in a function `SUPABASE_URL`/functions/v1/backup",
    "Where the service is called, also by itself.",
  ],
  [
    "BACKUP_MANAGEMENT_TOKEN",
    "none",
    "Token for the Management API: without it functions, settings and secrets are left out.",
  ],
  ["BACKUP_MANAGEMENT_URL", "`https://api.supabase.com`", "Address of the Management API."],
  [
    "BACKUP_MANAGEMENT_REQUESTS_PER_MINUTE",
    "`60`",
    "Requests that all workers together send to it in any minute.",
  ],
  [
    "BACKUP_FILES_SOURCE_BUCKET",
    "none: Supabase Storage",
    "A bucket of S3 that files are saved from instead.",
  ],
  ["BACKUP_FILES_SOURCE_REGION", "`us-east-1`", "Its region."],
  ["BACKUP_FILES_SOURCE_ENDPOINT", "Amazon's", "Its server, as `https://host`."],
  ["BACKUP_FILES_SOURCE_PREFIX", "all", "Only objects whose names begin so."],
  [
    "BACKUP_FILES_SOURCE_ACCESS_KEY",
    "needed with the bucket",
    "Id of the key that may list and read it.",
  ],
  ["BACKUP_FILES_SOURCE_SECRET_KEY", "needed with the bucket", "The secret key."],
  ["BACKUP_FILES_SOURCE_SESSION_TOKEN", "none", "Token of a session."],
  ["BACKUP_PROJECT_REF", "from `SUPABASE_URL`", "The project's ref."],
];

const HEAD = `# Settings

Made from the schema (\`task settings\`); do not edit.

Each setting is a variable of the function's environment (\`supabase secrets set …\`), a field of
\`action=update-config\`, of \`config\` in \`action=init\` and of \`initializeBackup()\`, and a row of
\`backup_config\`. Defaults give way to the environment, and that to rows. Lists are written with commas in
variables and as JSON lists elsewhere, the one of \`BACKUP_DESTINATIONS\` as JSON everywhere; switches are
\`true\`, \`1\`, \`false\` or \`0\` in variables.

Secrets stand in variables or in the Vault. A field of a secret holds where it is (\`env:NAME\`,
\`vault://name\`), never the secret; a variable of a secret holds the secret itself. In fields the rest of
\`NAME\` is free and its beginning is that of the variable in the table.

🔒 where the environment says it, neither a row nor a request can change it. ↥ where the environment says
it, rows and requests can only raise it.

A wrong value in the environment or in a request is refused with the variable, the value and what is
allowed. A wrong row is not followed, and \`status\` names it under \`settingsProblems\`: restores go on, and
nothing is deleted by such settings; a wrong row that says where backups are is refused. Every change is
kept as a version: \`{"rollbackTo": 3}\` goes back, \`{"dryRun": true}\` shows the outcome,
\`{"unset": ["maxWorkers"]}\` takes a setting back, \`{"expectedVersion": 4}\` refuses when somebody else was
faster. A key whose copy was confirmed stays confirmed, whatever version is gone back to.

Storage keeps every version too, encrypted like the backups. Where the tables were lost or are new, \`init\`
brings the newest one back and says so in its step \`settings\`; what the environment fixes stays as it says,
and place and key of the backups are never taken from there: the environment of that \`init\` has to name
them, or nothing is found. A version that storage did not take is a warning of \`update-config\`; the next
\`init\` keeps it.

A program on a server or a laptop says settings over those of its environment, for itself alone:

\`\`\`ts
import { initializeBackup, updateBackupConfig } from "./supabase/functions/backup/config.ts";

const config = initializeBackup({ enableDatabaseBackup: true, databaseBackupInterval: 24 });
updateBackupConfig({ databaseBackupInterval: 12, enableCompression: false });
\`\`\`
`;

/** The page, made from schema and variables alone. */
export function settingsPage(): string {
  const keys = Object.keys(settingsSchema.shape).flatMap((key) =>
    key === "backupStorageConfig" ? STORAGE_VARIABLES.map(([, field]) => `${key}.${field}`) : [key]
  );
  return [
    HEAD,
    "| variable | field | default | allowed | effect |",
    "|---|---|---|---|---|",
    ...keys.map(row),
    "",
    "Credentials and places by kind of storage: [destinations](destinations.md). What each channel needs:",
    "[notifications](notifications.md).",
    "",
    "## Variables that are no settings",
    "",
    "| variable | default | effect |",
    "|---|---|---|",
    ...OTHER_VARIABLES.map(([name, initial, effect]) => `| \`${name}\` | ${initial} | ${effect} |`),
    "",
  ].join("\n");
}

function row(path: string): string {
  const variable = variableOf(path);
  const cells = [
    variable === undefined ? "" : `\`${variable}\``,
    `\`${path}\`${markOf(path)}`,
    defaultOf(path),
    allowedOf(path, variable),
    effectOf(path) ?? "",
  ];
  return `| ${
    cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("<", "&lt;")).join(" | ")
  } |`;
}

function markOf(path: string): string {
  const key = path.split(".")[0] as string;
  if ((ENVIRONMENT_BOUND as readonly string[]).includes(key)) return " 🔒";
  return (ENVIRONMENT_MINIMUM as readonly string[]).includes(key) ? " ↥" : "";
}

function defaultOf(path: string): string {
  const value = (DEFAULT_SETTINGS as Record<string, unknown>)[path];
  if (value === undefined || path === "encryptionKey") return "";
  if (Array.isArray(value)) return value.length === 0 ? "" : value.join(",");
  return `\`${value}\``;
}

function allowedOf(path: string, variable: string | undefined): string {
  const isSecret = [...SETTING_VARIABLES, ...STORAGE_VARIABLES].some(([name, , form]) =>
    name === variable && form === "secret"
  );
  return isSecret ? "a secret; as a field a reference" : allowedWords(path) ?? "";
}

if (import.meta.main) {
  const file = join(ROOT, "docs", "settings.md");
  const page = settingsPage();
  if (!Deno.args.includes("--check")) await Deno.writeTextFile(file, page);
  else if (await Deno.readTextFile(file) !== page) {
    console.error("docs/settings.md is out of date: run `deno task settings`");
    Deno.exit(1);
  }
}
