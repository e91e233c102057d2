/**
 * Where the service may connect to. What the environment names is trusted; what a request or a row names
 * must be on a list of the environment, or whoever can change a setting could have credentials used and
 * bytes sent anywhere, also to addresses inside the network that only the function reaches.
 *
 * @module
 */
import { settingsAt } from "./destinations.ts";
import type { Environment } from "./environment.ts";
import { BackupError } from "./errors.ts";
import type { Settings } from "./settings.ts";

/** Part of the environment that decides. */
export type HostRules = Pick<Environment, "settings" | "allowedHosts" | "hosted">;

/** What is looked at besides: the storage of a destination, by its name, instead of the primary one. */
interface OfDestination {
  destination?: string | undefined;
}

/** A place to connect to. */
interface Place {
  /** Without brackets, lower case. */
  host: string;
  port: number;
  /** What an entry of the list means that names no port. */
  defaultPort: number;
  /** Whether what is sent can be read on the way. */
  plain: boolean;
}

/**
 * Refuses storage that a request or a row set up at a host that the environment does not allow. Storage of
 * the environment is not looked at. An account of Azure that only a connection string names is looked at
 * when that is known: see {@linkcode checkEndpoint}.
 *
 * @throws `invalid_config` naming the host
 */
export function checkStorageHost(
  settings: Settings,
  rules: HostRules,
  { destination }: OfDestination = {},
): void {
  const there = settingsAt(settings, destination);
  const endpoint = there.backupStorageConfig.endpoint ?? usualEndpoints(there)[0];
  if (endpoint !== undefined) checkEndpoint(endpoint, { settings, rules, destination });
}

/** As {@linkcode checkStorageHost}, for the very address that is about to be connected to. */
export function checkEndpoint(
  endpoint: string,
  { settings, rules, destination }: { settings: Settings; rules: HostRules } & OfDestination,
): void {
  const there = settingsAt(settings, destination);
  const { backupStorageType } = there;
  // That the environment names one place makes no other one trusted.
  const saidBy = destination === undefined ? "backupStorageConfig" : "destinations";
  if (backupStorageType === "local" || rules.settings[saidBy] !== undefined) return;
  const place = placeOf(endpoint);
  const usual = usualEndpoints(there).map((address) => new URL(address).hostname);
  const isAccount = backupStorageType === "azure" &&
    /^[a-z0-9]{3,24}\.blob\.core\.windows\.net$/.test(place.host);
  const isUsualHost = isAccount || usual.includes(place.host);
  if (rules.allowedHosts === null && isUsualHost && isUsual(place)) return;
  const kind = backupStorageType === "s3" ? "S3" : backupStorageType;
  refuse(place, rules, `the ${kind} endpoint ${place.host}:${place.port}`);
}

/**
 * Where a kind of storage is when nothing else is said. Supabase has none: the credential itself is sent
 * there, so somebody has to have named the project.
 */
function usualEndpoints({ backupStorageType, backupStorageConfig: config }: Settings): string[] {
  const region = config.region ?? "us-east-1";
  switch (backupStorageType) {
    case "s3":
      return [`https://s3.${region}.amazonaws.com`, `https://s3.dualstack.${region}.amazonaws.com`];
    case "gcs":
      return ["https://storage.googleapis.com"];
    case "azure":
      return config.account === undefined
        ? []
        : [`https://${config.account}.blob.core.windows.net`];
    default:
      return [];
  }
}

/** As {@linkcode checkStorageHost}, for a database whose address is not the environment's. */
export function checkDatabaseHost(address: { host: string; port: number }, rules: HostRules): void {
  const { host, port } = address;
  const place = { host: host.toLowerCase(), port, defaultPort: 5432, plain: false };
  refuse(place, rules, `the database at ${place.host}:${port}`);
}

/**
 * As {@linkcode checkStorageHost}, for where messages are sent.
 *
 * @param channel `usualHost`: allowed while the environment has no list
 */
export function checkChannelHost(
  address: string,
  channel: { name: string; usualHost: string | null },
  rules: HostRules,
): void {
  const place = placeOf(address, `the address of the channel ${channel.name}`);
  const isUsualHost = place.host === channel.usualHost && isUsual(place);
  if (rules.allowedHosts === null && isUsualHost) return;
  refuse(place, rules, `the channel ${channel.name} at ${place.host}:${place.port}`);
}

function refuse(place: Place, rules: HostRules, what: string): void {
  const { allowedHosts, hosted } = rules;
  if (allowedHosts === null ? !hosted && isLoopback(place.host) : isListed(place, allowedHosts)) {
    return;
  }
  throw new BackupError(
    "invalid_config",
    `Cannot use ${what}: the environment does not allow this host`,
    {
      hint: `supabase secrets set BACKUP_ALLOWED_HOSTS=${place.host}:${place.port}, or set the ` +
        "address itself in the environment (BACKUP_STORAGE_…, BACKUP_DESTINATIONS, " +
        "BACKUP_WEBHOOK_URL, …).",
      details: { host: place.host, port: place.port },
    },
  );
}

function placeOf(endpoint: string, what = "the storage endpoint"): Place {
  const { protocol, hostname, port, username, password } = new URL(endpoint);
  if (!["https:", "http:"].includes(protocol) || username !== "" || password !== "") {
    throw new BackupError(
      "invalid_config",
      `Cannot use ${what}: it is no plain web address`,
      {
        hint: "Use https://host or https://host:port.",
      },
    );
  }
  const defaultPort = protocol === "https:" ? 443 : 80;
  return {
    host: hostname.replace(/^\[|\]$/g, "").toLowerCase(),
    port: port === "" ? defaultPort : Number(port),
    defaultPort,
    plain: protocol === "http:",
  };
}

function isUsual(place: Place): boolean {
  return !place.plain && place.port === place.defaultPort;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Entries are `host`, `host:port` or `*.domain`; without a port they mean the usual one, encrypted. */
function isListed(place: Place, list: readonly string[]): boolean {
  return list.some((entry) => {
    const [, name = "", port] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
    const isHost = name.startsWith("*.")
      ? place.host.endsWith(name.slice(1)) && place.host.length > name.length - 1
      : place.host === name.replace(/^\[|\]$/g, "");
    return isHost && (port === undefined ? isUsual(place) : Number(port) === place.port);
  });
}
