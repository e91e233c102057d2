/**
 * Further places for backups: each is a storage of its own with a name, and holds a copy of the repository.
 *
 * @module
 */
import { z } from "zod";
import { BackupError } from "./errors.ts";
import {
  type StorageConfig,
  storageFields,
  storageIssues,
  type StorageType,
  storageType,
} from "./storage_settings.ts";

/** Most destinations beside the primary storage. */
const MOST = 8;

/** How messages call the storage of `backupStorageConfig`; no destination has this name. */
export const PRIMARY = "primary";

/** All fields of all destinations stand in this one variable. */
const said = () => "BACKUP_DESTINATIONS";

const destinationSchema = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]{0,31}$/, {
    error: ({ input }) =>
      `${
        JSON.stringify(input)
      } is not a name: a small letter, then at most 31 small letters, digits ` +
      `and hyphens (${said()})`,
  }).refine((name) => name !== PRIMARY, {
    error: `"${PRIMARY}" is the name of the storage itself: take another one (${said()})`,
  }).describe("Name of the destination, as requests say it."),
  type: storageType(said).describe("Kind of storage."),
  ...storageFields(said),
}).superRefine(({ name: _, type, ...config }, context) => {
  for (const { field, message } of storageIssues(type, config, said)) {
    context.addIssue({ code: "custom", path: [field], message });
  }
});

/** A further place for backups. */
export type Destination = z.infer<typeof destinationSchema>;

/** All of them, none of a name or at a place that another one has. */
export const destinationsSchema = z.array(destinationSchema).max(MOST).superRefine(
  (destinations, context) => {
    destinations.forEach(({ name, ...place }, index) => {
      const before = destinations.slice(0, index);
      if (before.some((other) => other.name === name)) {
        const message = `${JSON.stringify(name)} is there twice (${said()})`;
        context.addIssue({ code: "custom", path: [index, "name"], message });
      }
      const same = before.find((other) => placeOf(other) === placeOf(place));
      if (same === undefined) return;
      const message = `is at the same place as ${same.name}: give it another bucket or prefix`;
      context.addIssue({ code: "custom", path: [index], message });
    });
  },
);

/** The settings that say where storage is. */
interface StorageSettings {
  backupStorageType: StorageType;
  backupStorageConfig: StorageConfig;
  destinations: readonly Destination[];
}

/** Destinations at the very place of the primary storage: what is there is no copy. */
export function placeIssues(
  { backupStorageType: type, backupStorageConfig, destinations }: StorageSettings,
): { path: (string | number)[]; message: string }[] {
  const primary = placeOf({ type, ...backupStorageConfig });
  return destinations.flatMap((destination, index) =>
    placeOf(destination) === primary
      ? [{
        path: ["destinations", index],
        message:
          `${destination.name} is at the place of the storage itself: give it another bucket or ` +
          "prefix, or take it out",
      }]
      : []
  );
}

/** The place as far as settings tell it: two of the same text are one. */
function placeOf(
  { type, bucket, prefix, endpoint, account, path }: Omit<Destination, "name">,
): string {
  if (type === "local") {
    return JSON.stringify([type, (path ?? bucket ?? "backups").replace(/(?<=.)\/+$/, "")]);
  }
  const folders = (prefix ?? "").split("/").filter((folder) => folder !== "");
  const server = endpoint !== undefined && URL.canParse(endpoint) ? new URL(endpoint).host : null;
  return JSON.stringify([type, bucket ?? null, folders, server, account ?? null]);
}

/**
 * The settings with the storage of a destination in the place of the primary one.
 *
 * @param destination its name; undefined: the settings as they are
 * @throws `invalid_request` naming those that there are
 */
export function settingsAt<S extends StorageSettings>(settings: S, destination?: string): S {
  if (destination === undefined) return settings;
  const found = settings.destinations.find(({ name }) => name === destination);
  if (found === undefined) throw unknownDestination(settings, destination);
  const { name: _, type, ...config } = found;
  return { ...settings, backupStorageType: type, backupStorageConfig: config };
}

function unknownDestination({ destinations }: StorageSettings, name: string): BackupError {
  const names = destinations.map((each) => each.name);
  const known = names.length === 0 ? "none is set" : `there are ${names.join(", ")}`;
  return new BackupError(
    "invalid_request",
    `Cannot use the destination ${JSON.stringify(name)}: ${known}`,
    { hint: "Name one of the setting destinations (BACKUP_DESTINATIONS), or add it there." },
  );
}
