/**
 * The settings of the database's server: parameters, pooler, disk, and who may connect to it.
 *
 * @module
 */
import type { Json } from "../core/part.ts";
import type { ConfigSection, FieldChange, FieldValues } from "./config_section.ts";

/** Parameters that PostgreSQL takes up only when it starts. */
const NEED_RESTART = [
  "max_connections",
  "max_locks_per_transaction",
  "max_replication_slots",
  "max_wal_senders",
  "max_worker_processes",
  "shared_buffers",
  "track_activity_query_size",
  "track_commit_timestamp",
];

/** Parameters that are chosen for a size of machine. */
const SIZED = ["effective_cache_size", "maintenance_work_mem", "max_connections", "shared_buffers"];

const POSTGRES: ConfigSection = {
  key: "database-postgres",
  title: "parameters of PostgreSQL",
  path: "/v1/projects/{ref}/config/database/postgres",
  permission: "database_config_read",
  write: {
    method: "PUT",
    path: "/v1/projects/{ref}/config/database/postgres",
    permission: "database_config_write",
    form: "whole",
    nulls: false,
    // Left to itself the platform restarts the database at once, under everyone who is connected.
    body: (values) => ({ ...values, restart_database: false }),
  },
  writable: [
    "checkpoint_timeout",
    "effective_cache_size",
    "hot_standby_feedback",
    "logical_decoding_work_mem",
    "maintenance_work_mem",
    "max_connections",
    "max_locks_per_transaction",
    "max_parallel_maintenance_workers",
    "max_parallel_workers",
    "max_parallel_workers_per_gather",
    "max_replication_slots",
    "max_slot_wal_keep_size",
    "max_standby_archive_delay",
    "max_standby_streaming_delay",
    "max_wal_senders",
    "max_wal_size",
    "max_worker_processes",
    "session_replication_role",
    "shared_buffers",
    "statement_timeout",
    "track_activity_query_size",
    "track_commit_timestamp",
    "wal_keep_size",
    "wal_sender_timeout",
    "work_mem",
  ],
  hazards(changes) {
    const named = (names: readonly string[]) =>
      changes.map(({ field }) => field).filter((field) => names.includes(field)).join(", ");
    const [restart, sized] = [named(NEED_RESTART), named(SIZED)];
    const role = changes.find(({ field }) => field === "session_replication_role");
    return [
      ...(restart === "" ? [] : [`${restart}: in force only after you restart the database`]),
      ...(sized === "" ? [] : [
        `${sized}: chosen for another machine, with less memory the database may not start`,
      ]),
      ...(role === undefined || role.to === null || role.to === "origin" ? [] : [
        "session_replication_role: triggers and foreign keys are off for everyone",
      ]),
    ];
  },
};

const POOLER: ConfigSection = {
  key: "database-pooler",
  title: "pooler",
  path: "/v1/projects/{ref}/config/database/pooler",
  permission: "database_pooling_config_read",
  view: (answer) =>
    (answer as { database_type?: string }[]).find((one) => one.database_type === "PRIMARY") ?? {},
  write: {
    method: "PATCH",
    path: "/v1/projects/{ref}/config/database/pooler",
    permission: "database_pooling_config_write",
    form: "changed",
    nulls: true,
  },
  writable: ["default_pool_size", "pool_mode"],
  readOnly: {
    database_type: "the project's own",
    db_host: "the project's own",
    db_name: "the project's own",
    db_port: "the project's own",
    db_user: "the project's own",
    identifier: "the project's own",
    is_using_scram_auth: "the platform sets it",
    max_client_conn: "follows from the compute size",
  },
  leftOut: ["connectionString", "connection_string"],
  hazards: (changes) =>
    changes.some(({ field }) => field === "pool_mode")
      ? ["pool_mode: clients that rely on the present mode fail"]
      : [],
};

const PGBOUNCER: ConfigSection = {
  key: "database-pgbouncer",
  title: "dedicated pooler",
  path: "/v1/projects/{ref}/config/database/pgbouncer",
  permission: "database_read",
  absent: { 404: "the project has none" },
  write: null,
  writable: [],
  readOnly: {
    default_pool_size: "set through the pooler's settings",
    ignore_startup_parameters: "the platform sets it",
    max_client_conn: "follows from the compute size",
    pool_mode: "set through the pooler's settings",
    query_wait_timeout: "the platform sets it",
    reserve_pool_size: "the platform sets it",
    server_idle_timeout: "the platform sets it",
    server_lifetime: "the platform sets it",
  },
  leftOut: ["connection_string"],
  byHand: "It follows the pooler's settings and the compute size",
};

/** A disk keeps what it has where the saved one is smaller: the platform cannot shrink it. */
function fitDisk(saved: FieldValues, current: FieldValues): FieldValues {
  const size = Math.max(Number(saved.size_gb ?? 0), Number(current.size_gb ?? 0));
  return { ...saved, size_gb: size };
}

const DISK: ConfigSection = {
  key: "database-disk",
  title: "disk of the database",
  path: "/v1/projects/{ref}/config/disk",
  permission: "infra_disk_config_read",
  view: (answer) => {
    const { attributes, ...others } = answer as { attributes?: FieldValues; [name: string]: Json };
    return { ...attributes, ...others };
  },
  write: {
    method: "POST",
    path: "/v1/projects/{ref}/config/disk",
    permission: "infra_disk_config_write",
    form: "whole",
    nulls: false,
    body: (values) => ({ attributes: values }),
  },
  writable: ["iops", "size_gb", "throughput_mibps", "type"],
  readOnly: { last_modified_at: "a time of the past" },
  fit: fitDisk,
  hazards: (changes) =>
    changes.length === 0 ? [] : [
      "the disk costs by size and speed, never shrinks, and takes no other change for some hours",
    ],
};

const DISK_AUTOSCALE: ConfigSection = {
  key: "database-disk-autoscale",
  title: "growth of the disk",
  path: "/v1/projects/{ref}/config/disk/autoscale",
  permission: "infra_disk_config_read",
  write: null,
  writable: [],
  readOnly: {
    growth_percent: "the API only tells it",
    max_size_gb: "the API only tells it",
    min_increment_gb: "the API only tells it",
  },
  byHand: "Set it in the dashboard (database, settings, disk)",
};

const TEMPORARY_ACCESS: ConfigSection = {
  key: "database-temporary-access",
  title: "temporary access to the database",
  path: "/v1/projects/{ref}/jit-access",
  permission: "project_admin_read",
  view(answer) {
    const { state, ...others } = answer as FieldValues;
    // Only the two states that can be asked for are settings.
    return state === "enabled" || state === "disabled" ? { state, ...others } : {};
  },
  write: {
    method: "PUT",
    path: "/v1/projects/{ref}/jit-access",
    permission: "project_admin_write",
    form: "changed",
    nulls: false,
  },
  writable: ["state"],
  leftOut: ["appliedSuccessfully", "unavailableReason"],
};

const SSL: ConfigSection = {
  key: "database-ssl",
  title: "encrypted connections only",
  path: "/v1/projects/{ref}/ssl-enforcement",
  permission: "database_ssl_config_read",
  view: (answer) => (answer as { currentConfig?: Json }).currentConfig ?? {},
  write: {
    method: "PUT",
    path: "/v1/projects/{ref}/ssl-enforcement",
    permission: "database_ssl_config_write",
    form: "whole",
    nulls: false,
    body: (values) => ({ requestedConfig: values }),
  },
  writable: ["database"],
  hazards: ([change]) =>
    change === undefined ? [] : [
      change.to === true
        ? "clients without TLS are refused, and the database restarts"
        : "connections in the clear are let in, and the database restarts",
    ],
};

const EVERYONE = { dbAllowedCidrs: "0.0.0.0/0", dbAllowedCidrsV6: "::/0" };

/** Whether an address list lets everyone in. */
function isOpen({ field, to }: FieldChange): boolean {
  return Array.isArray(to) && to.includes(EVERYONE[field as keyof typeof EVERYONE]);
}

const NETWORK: ConfigSection = {
  key: "database-network",
  title: "addresses that may connect to the database",
  path: "/v1/projects/{ref}/network-restrictions",
  permission: "database_network_restrictions_read",
  view: (answer) => (answer as { config?: Json }).config ?? {},
  write: {
    method: "POST",
    path: "/v1/projects/{ref}/network-restrictions/apply",
    permission: "database_network_restrictions_write",
    form: "whole",
    nulls: false,
  },
  writable: ["dbAllowedCidrs", "dbAllowedCidrsV6"],
  hazards: (changes) =>
    changes.map((change) =>
      isOpen(change)
        ? `${change.field}: every address may connect`
        : `${change.field}: only listed addresses may connect; Edge Functions, this service among them, ` +
          "lose the database, and so do you unless your address is listed"
    ),
};

/** See the module. */
export const DATABASE_SECTIONS: readonly ConfigSection[] = [
  DISK,
  DISK_AUTOSCALE,
  NETWORK,
  PGBOUNCER,
  POOLER,
  POSTGRES,
  SSL,
  TEMPORARY_ACCESS,
];
