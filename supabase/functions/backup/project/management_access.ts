/**
 * Whether this service may use the Management API, and with what.
 *
 * @module
 */
import type { Environment } from "../core/environment.ts";
import { type ManagementApi, managementApi, type ManagementApiOptions } from "./management_api.ts";

/** A client, or why there is none. */
export type ManagementAccess =
  | { api: ManagementApi; projectRef: string }
  | { api: null; projectRef: string | null; withoutApi: string };

/**
 * Opens a client with what the environment says. One for a worker: its pace is that of all its calls.
 *
 * @throws `invalid_config` when the address or the token cannot be used
 */
export function managementAccess(
  { management, projectRef }: Pick<Environment, "management" | "projectRef">,
  options: Pick<ManagementApiOptions, "fetch" | "clock" | "sharedPace"> = {},
): ManagementAccess {
  const { token, url, requestsPerMinute } = management;
  const limit = { requests: requestsPerMinute, windowMs: 60_000 };
  if (token === null) {
    return { api: null, projectRef, withoutApi: "BACKUP_MANAGEMENT_TOKEN is not set" };
  }
  if (projectRef === null) {
    return {
      ...{ api: null, projectRef },
      withoutApi: "the project's ref is not known: set BACKUP_PROJECT_REF",
    };
  }
  return { api: managementApi({ ...options, baseUrl: url, projectRef, token, limit }), projectRef };
}
